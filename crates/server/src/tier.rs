//! What makes one tier differ from another before any configuration is read.

use std::time::Duration;

/// A tier's name and defaults. Everything else that differs between tiers is configuration.
#[derive(Clone, Copy, Debug)]
pub struct Tier {
    /// The program's name, such as `watershed-edge`.
    pub program: &'static str,
    pub about: &'static str,
    pub version: &'static str,
    pub listen_address: &'static str,
    /// How far behind a series' newest sample an older one is still taken: zero where samples come
    /// from scrapes, hours where they come over links that may have to catch up.
    pub out_of_order_window: Duration,
}
