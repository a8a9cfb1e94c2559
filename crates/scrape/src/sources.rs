//! What a job's discovery has found, and what relabelling made of it.
//!
//! A group is relabelled when it is new and when the job changes, not whenever any other group
//! changes: what a change costs follows the change. Labels from before relabelling are not kept but
//! made again for whoever wants to see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use discovery::TargetGroup;
use model::Labels;

use crate::job::Job;
use crate::target::{Discovered, Target, discovered_labels};

#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// What the configuration itself lists.
    listed: Vec<Arc<TargetGroup>>,
    found: Vec<Arc<TargetGroup>>,
    made: BTreeMap<GroupKey, Made>,
}

/// Names a group for as long as somebody holds it: in the order of sources, and by its address.
type GroupKey = (Arc<str>, usize);

#[derive(Debug)]
struct Made {
    group: Arc<TargetGroup>,
    targets: Vec<Arc<Target>>,
    /// Positions in the group of the targets that relabelling dropped.
    dropped: Vec<usize>,
}

impl Sources {
    /// From here on discovery's groups are these.
    pub(crate) fn find(&mut self, job: &Job, found: Vec<Arc<TargetGroup>>) {
        let mut before = std::mem::take(&mut self.made);
        for group in self.listed.iter().chain(&found) {
            let key = key(group);
            let made = before.remove(&key).unwrap_or_else(|| make(job, Arc::clone(group)));
            self.made.insert(key, made);
        }
        self.found = found;
    }

    /// The job has changed: relabels everything once more.
    pub(crate) fn remake(&mut self, job: &Job) {
        let listed = job.config.static_configs.iter().enumerate();
        self.listed = listed.map(|(position, listed)| listed.group(position)).collect();
        self.made.clear();
        let found = std::mem::take(&mut self.found);
        self.find(job, found);
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.made.values().flat_map(|made| &made.targets)
    }

    pub(crate) fn dropped_count(&self) -> usize {
        self.made.values().map(|made| made.dropped.len()).sum()
    }

    /// The labels of dropped targets, before relabelling.
    pub(crate) fn dropped<'a>(&'a self, job: &'a Job) -> impl Iterator<Item = Labels> + 'a {
        self.made.values().flat_map(move |made| {
            made.dropped.iter().map(move |position| discovered_labels(job, &made.group, *position))
        })
    }
}

fn key(group: &Arc<TargetGroup>) -> GroupKey {
    (Arc::clone(&group.source), Arc::as_ptr(group).addr())
}

fn make(job: &Job, group: Arc<TargetGroup>) -> Made {
    let (mut targets, mut dropped) = (Vec::new(), Vec::new());
    for position in 0..group.targets.len() {
        match Target::discover(job, &group, position) {
            Ok(Discovered::Target(target)) => targets.push(Arc::new(*target)),
            Ok(Discovered::Dropped) => dropped.push(position),
            Err(error) => {
                let (job, source) = (job.name(), &*group.source);
                let address = group.targets[position].value("__address__");
                tracing::error!(job, source, address, %error, "create a target");
            }
        }
    }
    Made { group, targets, dropped }
}

#[cfg(test)]
mod tests;
