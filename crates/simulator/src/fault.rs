//! What can be broken in a cluster while the simulator runs, and for how long it was broken.

use std::fmt;
use std::str::FromStr;

use model::Timestamp;

/// Something to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// No etcd member has a leader; proposals fail.
    EtcdNoLeader,
    /// Every second fsync of etcd's log takes most of a second.
    EtcdSlowFsync,
    /// One API request in five is answered with a 500.
    ApiserverErrors,
    /// The first node's kubelet has stopped reporting: condition Ready is unknown.
    NodeNotReady,
    /// The scheduler's metrics endpoint answers 503.
    TargetDown,
    /// Every target of the cluster answers 503.
    Silent,
}

impl Fault {
    pub const ALL: [Self; 6] = [
        Self::EtcdNoLeader,
        Self::EtcdSlowFsync,
        Self::ApiserverErrors,
        Self::NodeNotReady,
        Self::TargetDown,
        Self::Silent,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::EtcdNoLeader => "etcd-no-leader",
            Self::EtcdSlowFsync => "etcd-slow-fsync",
            Self::ApiserverErrors => "apiserver-errors",
            Self::NodeNotReady => "node-not-ready",
            Self::TargetDown => "target-down",
            Self::Silent => "silent",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name is not one of [`Fault::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown fault; one of etcd-no-leader, etcd-slow-fsync, apiserver-errors, node-not-ready, \
     target-down, silent"
)]
pub struct UnknownFault;

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        Self::ALL.into_iter().find(|fault| fault.as_str() == name).ok_or(UnknownFault)
    }
}

/// A fault was broken and mended too often to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken and mended {HISTORY_MAX} times already")]
pub struct HistoryFull;

/// Times that one fault of one cluster may be broken. Each is two timestamps.
const HISTORY_MAX: usize = 1_000;

/// The faults of one cluster, past and present. Past ones still show in the counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultHistory {
    /// Per fault, in the order of [`Fault::ALL`]: when it was broken, oldest first. Only the last
    /// one may be open.
    outages: [Vec<Outage>; Fault::ALL.len()],
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    start: Timestamp,
    end: Option<Timestamp>,
}

impl FaultHistory {
    /// Breaks `fault` from `at` on. What is broken already stays so.
    pub(crate) fn start(&mut self, fault: Fault, at: Timestamp) -> Result<(), HistoryFull> {
        if self.is_active(fault) {
            return Ok(());
        }
        let outages = &mut self.outages[fault as usize];
        if outages.len() >= HISTORY_MAX {
            return Err(HistoryFull);
        }
        outages.push(Outage { start: at, end: None });
        Ok(())
    }

    /// Mends `fault` at `at`. What is not broken stays so.
    pub(crate) fn stop(&mut self, fault: Fault, at: Timestamp) {
        if let Some(outage) = self.outages[fault as usize].last_mut() {
            outage.end.get_or_insert(at);
        }
    }

    pub(crate) fn is_active(&self, fault: Fault) -> bool {
        self.outages[fault as usize].last().is_some_and(|outage| outage.end.is_none())
    }

    pub(crate) fn active(&self) -> Vec<Fault> {
        Fault::ALL.into_iter().filter(|fault| self.is_active(*fault)).collect()
    }

    /// For how many seconds between `from` and `to` the fault was broken.
    pub(crate) fn seconds(&self, fault: Fault, from: Timestamp, to: Timestamp) -> f64 {
        let millis = self.outages[fault as usize].iter().map(|outage| {
            let start = outage.start.max(from);
            let end = outage.end.unwrap_or(to).min(to);
            end.millis_since(start).max(0)
        });
        millis.sum::<i64>() as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn every_fault_has_a_name_that_parses() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert!(UnknownFault.to_string().contains(fault.as_str()));
        }
        assert_eq!("etcd".parse::<Fault>(), Err(UnknownFault));
    }

    #[test]
    fn broken_time_is_what_lies_inside_the_window() {
        let mut history = FaultHistory::default();
        history.start(Fault::Silent, at(10)).unwrap();
        history.start(Fault::Silent, at(12)).unwrap(); // broken already
        history.stop(Fault::Silent, at(20));
        history.stop(Fault::Silent, at(25)); // mended already
        history.start(Fault::Silent, at(30)).unwrap();

        #[track_caller]
        fn check(history: &FaultHistory, from: i64, to: i64, seconds: f64) {
            assert_eq!(history.seconds(Fault::Silent, at(from), at(to)), seconds);
        }
        check(&history, 0, 9, 0.0);
        check(&history, 0, 15, 5.0);
        check(&history, 12, 15, 3.0);
        check(&history, 0, 25, 10.0);
        check(&history, 0, 31, 11.0);
        check(&history, 40, 45, 5.0);
        assert_eq!(history.active(), [Fault::Silent]);
        assert_eq!(history.seconds(Fault::TargetDown, at(0), at(99)), 0.0);
    }

    #[test]
    fn a_history_is_bounded() {
        let mut history = FaultHistory::default();
        for second in 0..HISTORY_MAX as i64 {
            history.start(Fault::Silent, at(second)).unwrap();
            history.stop(Fault::Silent, at(second));
        }
        assert_eq!(history.start(Fault::Silent, at(5000)), Err(HistoryFull));
    }
}
