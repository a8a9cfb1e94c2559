//! The storage engine of every tier: a head in memory, written ahead to a log, and blocks of what left
//! it, in Prometheus' formats.
//!
//! A data directory is Prometheus' own. One process at a time uses it ([`OpenError::Locked`]).
//!
//! - TSDB-1: what `commit` acknowledged is handed to the operating system; it survives kill −9.
//! - TSDB-2: a batch is rejected, written and made visible as one; nothing rejected reaches the log.
//! - TSDB-3: a series reference names one series for as long as the process lives.
//!
//! This crate reads no clock and opens no socket: time is what samples carry, and whoever owns the
//! database calls [`Db::sync`] and [`Db::maintain`] by a timer.

#[cfg(feature = "bench")]
pub mod bench;
pub mod db;
pub mod inspect;
pub mod log;
pub mod metrics;

mod block;
mod chunk;
mod codec;
mod head;
mod lock;
mod mapped;
pub mod ranking;
mod replace;
pub mod statistics;
mod wal;

#[cfg(test)]
mod interop;

pub use db::{Db, OpenError, Options};
pub use log::{LogEntry, LogError, LogItem, LogPosition, LogReader, LogSeries, LoggedSample};
pub use metrics::Metrics;
pub use wal::compression::Compression;
