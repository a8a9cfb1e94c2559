//! The two traits between adapters and the storage core: [`Append`] and [`Query`].
//!
//! Whatever enters goes through an [`Appender`]; whatever is asked goes through [`Query`]. The time
//! series database implements both; a remote tier can implement the second.

pub mod append;
pub mod memory;
pub mod query;

pub use append::{
    Append, AppendError, Appended, Appender, ExemplarDropReason, RejectReason, Rejected, SeriesKey,
    SeriesRef,
};
pub use memory::Memory;
pub use query::{Columns, LabelQuery, Query, QueryError, Selection, SelectionHints, SeriesSet};
