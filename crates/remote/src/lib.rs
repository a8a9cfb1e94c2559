//! The links between tiers: remote write in and out, and federation.
//!
//! ```text
//! receive  POST /api/v1/write ─► storage::Append
//! send     tsdb's log ─► relabel ─► queue ─► POST to each destination, with a durable cursor
//! federate storage::Query ─► GET /federate
//! ```
//! This crate owns its sockets and no data: what it acknowledges is in storage, what it forwards is
//! read from storage's log.

mod clock;
pub mod federate;
pub mod metrics;
pub mod receive;
pub mod send;
#[cfg(test)]
mod testing;
mod wire;

pub use metrics::Metrics;
pub use send::{RemoteWriteConfig, Senders};
