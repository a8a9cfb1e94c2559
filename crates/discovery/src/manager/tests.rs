//! The manager with files as sources.

use std::fs;
use std::path::Path;

use prometheus::Registry;

use super::*;

#[derive(Default)]
struct Told(Mutex<Vec<(String, Vec<Arc<TargetGroup>>)>>);

impl Receive for Told {
    fn receive(&self, set: &str, groups: Vec<Arc<TargetGroup>>) {
        self.0.lock().push((set.to_owned(), groups));
    }
}

impl Told {
    /// What was told last of `set`: the addresses.
    fn last(&self, set: &str) -> Option<Vec<String>> {
        let told = self.0.lock();
        let (_, groups) = told.iter().rev().find(|(name, _)| name == set)?;
        let targets = groups.iter().flat_map(|group| &group.targets);
        Some(targets.map(|target| target.value("__address__").to_owned()).collect())
    }

    async fn wait_for(&self, set: &str, addresses: &[&str]) {
        for _ in 0..1000 {
            if self.last(set).is_some_and(|last| last == addresses) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{set}: expected {addresses:?}, was told {:?}", self.last(set));
    }
}

fn manager() -> (Manager, Arc<Told>) {
    let told = Arc::new(Told::default());
    let metrics = Metrics::register(&Registry::new()).unwrap();
    (Manager::new(Arc::clone(&told) as _, metrics), told)
}

fn config(directory: &Path, file: &str) -> Config {
    let mut config = Config::File(serde_yaml_ng::from_str(&format!("files: [{file}]")).unwrap());
    config.set_directory(directory);
    config
}

fn write(directory: &Path, file: &str, addresses: &[&str]) {
    let text = format!("[{{targets: {addresses:?}}}]");
    fs::write(directory.join(file), text).unwrap();
}

#[tokio::test]
async fn receivers_are_told_of_what_their_sets_find() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    write(directory, "a.yml", &["a:1"]);
    write(directory, "b.yml", &["b:1"]);
    let (manager, told) = manager();
    let (a, b) = (config(directory, "a.yml"), config(directory, "b.yml"));
    manager.apply(vec![
        ("one".into(), vec![a.clone()]),
        ("two".into(), vec![b, a]),
        ("none".into(), vec![]),
    ]);
    told.wait_for("one", &["a:1"]).await;
    told.wait_for("two", &["b:1", "a:1"]).await;
    told.wait_for("none", &[]).await;
    assert_eq!(manager.state.lock().providers.len(), 2, "two sets share one provider");
    write(directory, "a.yml", &["a:22"]);
    told.wait_for("one", &["a:22"]).await;
    manager.shutdown().await;
}

#[tokio::test]
async fn a_reload_leaves_what_stays_as_it_is_and_loses_nothing_in_between() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    write(directory, "a.yml", &["a:1"]);
    write(directory, "b.yml", &["b:1"]);
    let (manager, told) = manager();
    let (a, b) = (config(directory, "a.yml"), config(directory, "b.yml"));
    manager.apply(vec![("one".into(), vec![a.clone()])]);
    told.wait_for("one", &["a:1"]).await;
    let before = told.0.lock().last().unwrap().1[0].clone();
    told.0.lock().clear();
    manager.apply(vec![("one".into(), vec![a, b])]);
    told.wait_for("one", &["a:1", "b:1"]).await;
    manager.shutdown().await;
    let calls = told.0.lock();
    assert_eq!(calls.len(), 1, "it was not told of `a` alone meanwhile: {calls:?}");
    assert!(Arc::ptr_eq(&calls[0].1[0], &before));
}
