//! Delivers alerts to Alertmanagers.
//!
//! ```text
//!                                             discovery ─► Notifier::find ─► which there are
//! rules ─► Notifier::send ─► external labels ─► alert_relabel_configs ─┬─► queue ─► Alertmanager a
//!                                                                      └─► queue ─► Alertmanager b
//! ```
//! - ALERTS-1: every alert given to [`Notifier::send`] is counted, for each Alertmanager, once as
//!   sent or once as dropped; unless relabelling removed it.
//! - ALERTS-2: each Alertmanager has a queue of its own, so that a dead one delays no other.
//! - ALERTS-3: a full queue drops its oldest alerts, since a newer state of them follows.
//! - Source: Prometheus 3, `notifier/`, and the Alertmanager's API v2.

mod config;
mod destination;
mod metrics;
mod notifier;
mod payload;
mod places;
mod queue;
mod status;

pub use config::{AlertingConfig, AlertmanagerConfig, ConfigError};
pub use metrics::Metrics;
pub use notifier::Notifier;
pub use places::PlaceError;
pub use status::{AlertmanagerUrl, AlertmanagersStatus};
