use super::*;
use crate::tests::job;

fn group(source: &str, addresses: &[&str]) -> Arc<TargetGroup> {
    let target = |address: &&str| Labels::from_iter([("__address__", *address)]);
    let targets = addresses.iter().map(target).collect();
    Arc::new(TargetGroup { source: source.into(), targets, labels: Labels::empty() })
}

const JOB: &str = "static_configs: [{targets: ['static:1']}]\n\
                   relabel_configs: [{source_labels: [__address__], regex: 'no.*', action: drop}]";

fn instances(sources: &Sources) -> Vec<&str> {
    sources.targets().map(|target| target.labels.value("instance")).collect()
}

#[test]
fn only_what_is_new_is_relabelled() {
    let (job, mut sources) = (job(JOB), Sources::default());
    sources.remake(&job);
    let (a, b) = (group("a", &["a:1", "no:1"]), group("b", &["b:1", "no:2", "no:3"]));
    sources.find(&job, vec![Arc::clone(&a), b]);
    assert_eq!(instances(&sources), ["a:1", "b:1", "static:1"]);
    assert_eq!(sources.dropped_count(), 3);
    let before: Vec<_> = sources.targets().cloned().collect();

    sources.find(&job, vec![a, group("b", &["b:2"])]);
    assert_eq!(instances(&sources), ["a:1", "b:2", "static:1"]);
    let after: Vec<_> = sources.targets().cloned().collect();
    assert!(Arc::ptr_eq(&before[0], &after[0]) && Arc::ptr_eq(&before[2], &after[2]));
    let dropped: Vec<_> = sources.dropped(&job).collect();
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].value("__address__"), "no:1");
}

#[test]
fn two_groups_of_one_name_are_two() {
    let (job, mut sources) = (job(JOB), Sources::default());
    sources.find(&job, vec![group("a", &["a:1"]), group("a", &["a:2"])]);
    let mut found = instances(&sources);
    found.sort_unstable();
    assert_eq!(found, ["a:1", "a:2"]);
}

#[test]
fn another_job_relabels_all_that_was_found() {
    let (first, mut sources) = (job(""), Sources::default());
    sources.find(&first, vec![group("a", &["a:1", "no:1"])]);
    assert_eq!(instances(&sources), ["a:1", "no:1"]);
    sources.remake(&job(JOB));
    assert_eq!(instances(&sources), ["a:1", "static:1"]);
}
