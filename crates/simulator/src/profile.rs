//! How large a fleet is and how often its targets restart.

use std::time::Duration;

/// The sizes of a fleet. The number of meta-clusters and tenants is fixed (`topology`); what grows
/// for a bench is what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub nodes_per_metacluster: usize,
    pub nodes_per_tenant: usize,
    pub pods_per_node: usize,
    pub cpus_per_node: usize,
    /// Somewhere in the fleet one target restarts at every multiple of this since the epoch; each
    /// target has its turn before the first one comes again.
    pub restart_every: Duration,
}

impl Profile {
    /// Small enough for ten processes on two cores: 5,000 to 6,500 series per meta-cluster.
    pub fn demo() -> Self {
        Self {
            nodes_per_metacluster: 3,
            nodes_per_tenant: 2,
            pods_per_node: 3,
            cpus_per_node: 2,
            restart_every: Duration::from_secs(300),
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::demo()
    }
}
