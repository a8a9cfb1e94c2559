//! Runs scripts in Prometheus' own test language against the engine.
//!
//! Our scripts are in `testdata/`. Upstream's are looked for in `$PROMQLTEST_DIR`, or else in
//! `../shared/promqltest` beside the workspace; they are not part of the repository.

mod promqltest {
    pub(crate) mod classic;
    pub(crate) mod run;
    pub(crate) mod script;
}

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use promqltest::run::{Outcome, run_script};

/// How many evaluations of upstream's scripts do not pass yet: file and count. An improvement makes
/// the test fail until it is written down here.
const KNOWN_FAILURES: &[(&str, usize)] = &[];

#[test]
fn our_scripts_pass() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let outcomes = run_directory(&directory);
    assert!(!outcomes.is_empty(), "no scripts in {}", directory.display());
    let failures: Vec<&String> = outcomes.values().flat_map(|outcome| &outcome.failures).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), join(&failures));
}

#[test]
fn upstream_scripts_pass_but_for_the_known_failures() {
    let Some(directory) = upstream_directory() else {
        println!("no upstream scripts: set PROMQLTEST_DIR");
        return;
    };
    let outcomes = run_directory(&directory);
    let known: BTreeMap<&str, usize> = KNOWN_FAILURES.iter().copied().collect();
    let mut surprises = Vec::new();
    for (file, outcome) in &outcomes {
        let (failed, total) = (outcome.failures.len(), outcome.evaluations);
        println!("{file}: {} of {total} pass", total - failed);
        let expected = known.get(file.as_str()).copied().unwrap_or(0);
        if failed != expected {
            let list = join(&outcome.failures.iter().collect::<Vec<_>>());
            surprises.push(format!("{file}: {failed} fail, known are {expected}:\n{list}"));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

fn join(failures: &[&String]) -> String {
    failures.iter().map(|failure| format!("  {failure}\n")).collect()
}

fn upstream_directory() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/promqltest");
    let named = std::env::var_os("PROMQLTEST_DIR").map(PathBuf::from);
    match named {
        Some(named) => {
            assert!(named.is_dir(), "PROMQLTEST_DIR is no directory: {}", named.display());
            Some(named)
        }
        None => beside.is_dir().then_some(beside),
    }
}

fn run_directory(directory: &Path) -> BTreeMap<String, Outcome> {
    let entries = std::fs::read_dir(directory).expect("read the directory of scripts");
    let scripts = entries.map(|entry| entry.expect("read its entry").path());
    scripts
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .map(|path| {
            let name = path.file_name().expect("has a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("read the script");
            let outcome = run_script(&name, &text);
            (name, outcome)
        })
        .collect()
}
