//! Discovery: finds targets and says what is known of them, in labels.
//!
//! ```text
//! sets of configurations ─apply─► Manager ─► one provider per distinct configuration
//!     provider ─► Feed: groups by source ─► Manager: whatever changed ─► Receive::receive(set, groups)
//! ```
//! A *set* is all that one receiver asks for: a scrape job, the Alertmanagers of one entry. Sets that
//! say the same share one provider, its connections and its groups. What becomes of the targets is
//! the receiver's business: nothing here relabels, and nothing here knows scraping.
//!
//! - DISCOVER-1: what was found stays until something better is known: a source that fails, in
//!   whatever way, leaves its last groups in place, and is counted and logged.
//! - DISCOVER-2: a reload does not disturb the providers whose configurations it leaves as they are.
//! - DISCOVER-3: a group that says the same as before is the same (`Arc::ptr_eq`), so that a receiver
//!   pays for what changed and no more.
//! - Source: Prometheus 3, `discovery/{manager,refresh/refresh}.go`.

mod config;
mod configs;
mod feed;
mod file;
mod group;
mod group_list;
mod http;
mod kubernetes;
mod manager;
mod metrics;
mod refresh;
mod static_config;

pub use config::Config;
pub use configs::Configs;
pub use file::FileConfig;
pub use group::TargetGroup;
pub use http::HttpConfig;
pub use kubernetes::KubernetesConfig;
pub use manager::{Manager, Receive};
pub use metrics::Metrics;
pub use static_config::StaticConfig;
