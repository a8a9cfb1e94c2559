//! The traits between adapters and the storage core: [`Append`], [`Query`] and [`Admin`].
//!
//! Whatever enters goes through an [`Appender`]; whatever is asked goes through [`Query`]; what
//! operators do to it goes through [`Admin`]. The time series database implements all three; a remote
//! tier can implement the second.

pub mod admin;
pub mod aggregation;
pub mod append;
pub mod memory;
pub mod query;

pub use admin::{Admin, AdminError};
pub use aggregation::{Aggregated, Aggregation, Group, Grouping};
pub use append::{
    Append, AppendError, Appended, Appender, ExemplarDropReason, RejectReason, Rejected, SeriesKey,
    SeriesRef,
};
pub use memory::Memory;
pub use query::{
    Columns, LabelQuery, Query, QueryError, SamplesNeeded, Selection, SelectionHints, SeriesGroups,
    SeriesSet,
};
