//! What one provider has found so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::TargetGroup;

/// A provider's groups, by source. Clones are the same feed.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    found: Arc<Mutex<Found>>,
    /// Wakes whoever waits for changes of any feed.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Found {
    groups: BTreeMap<Arc<str>, Arc<TargetGroup>>,
    /// Grows with each change; 0 before the provider's first report.
    version: u64,
}

impl Feed {
    pub(crate) fn new(changed: watch::Sender<()>) -> Self {
        Self { found: Arc::default(), changed }
    }

    /// From here on, these are the provider's groups, and no others.
    pub(crate) fn replace(&self, groups: Vec<TargetGroup>) {
        let mut found = self.found.lock();
        let mut before = std::mem::take(&mut found.groups);
        let mut changed = found.version == 0;
        for group in groups {
            changed |= found.put(before.remove(&group.source), group);
        }
        changed |= !before.is_empty();
        self.note(&mut found, changed);
    }

    /// Puts in or replaces these groups, and takes out those of the sources in `gone`.
    pub(crate) fn update(&self, groups: Vec<TargetGroup>, gone: &[Arc<str>]) {
        let mut found = self.found.lock();
        let mut changed = found.version == 0;
        for source in gone {
            changed |= found.groups.remove(source).is_some();
        }
        for group in groups {
            let before = found.groups.remove(&group.source);
            changed |= found.put(before, group);
        }
        self.note(&mut found, changed);
    }

    pub(crate) fn version(&self) -> u64 {
        self.found.lock().version
    }

    /// The groups, and the version that they are of.
    pub(crate) fn groups(&self) -> (Vec<Arc<TargetGroup>>, u64) {
        let found = self.found.lock();
        (found.groups.values().cloned().collect(), found.version)
    }

    fn note(&self, found: &mut Found, changed: bool) {
        if changed {
            found.version += 1;
            self.changed.send_replace(());
        }
    }
}

impl Found {
    /// False if the group says what it said before; then it is the one from before (DISCOVER-3).
    fn put(&mut self, before: Option<Arc<TargetGroup>>, group: TargetGroup) -> bool {
        let (group, changed) = match before {
            Some(before) if *before == group => (before, false),
            _ => (Arc::new(group), true),
        };
        self.groups.insert(Arc::clone(&group.source), group);
        changed
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    fn group(source: &str, label: &str) -> TargetGroup {
        let labels = Labels::from_iter([("l", label)]);
        TargetGroup { source: source.into(), targets: Vec::new(), labels }
    }

    #[test]
    fn a_group_that_says_the_same_is_the_same() {
        let feed = Feed::new(watch::Sender::new(()));
        assert_eq!(feed.version(), 0);
        feed.replace(vec![group("a", "1"), group("b", "1")]);
        let (before, version) = feed.groups();
        feed.replace(vec![group("b", "1"), group("a", "1")]);
        assert_eq!(feed.version(), version);
        feed.replace(vec![group("a", "1"), group("b", "2")]);
        let (after, later) = feed.groups();
        assert!(later > version);
        assert!(Arc::ptr_eq(&before[0], &after[0]) && !Arc::ptr_eq(&before[1], &after[1]));
    }

    #[test]
    fn what_is_no_longer_there_goes() {
        let sources = |feed: &Feed| -> Vec<String> {
            feed.groups().0.iter().map(|group| group.source.to_string()).collect()
        };
        let feed = Feed::new(watch::Sender::new(()));
        feed.replace(vec![group("a", "1"), group("b", "1"), group("c", "1")]);
        feed.update(vec![], &["b".into(), "x".into()]);
        assert_eq!(sources(&feed), ["a", "c"]);
        feed.replace(vec![group("d", "1")]);
        assert_eq!(sources(&feed), ["d"]);
    }

    #[test]
    fn the_first_report_counts_even_if_it_is_empty() {
        let changed = watch::Sender::new(());
        let waiting = changed.subscribe();
        let feed = Feed::new(changed);
        feed.replace(vec![]);
        assert_eq!(feed.version(), 1);
        assert!(waiting.has_changed().unwrap());
    }
}
