//! What looks into a directory, on one that a real Prometheus writes to.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use model::{Matcher, SampleValue, TimeRange};

use super::peer::Prometheus;
use super::{Contents, at, write_directory};
use crate::inspect::dump::Dump;
use crate::inspect::verify::{Problem, verify};

fn dumped(dir: &Path, metric: &str) -> Contents {
    let matchers = vec![Matcher::equal("__name__", metric)];
    let mut dump = Dump::open(dir, &[matchers], TimeRange::ALL).unwrap();
    let mut contents = Contents::new();
    while let Some((labels, points)) = dump.next_series().unwrap() {
        let samples = points.into_iter().map(|point| match point.value {
            SampleValue::Float(value) => at(point.timestamp.as_millis(), value),
            SampleValue::Histogram(_) => unreachable!("there are only numbers"),
        });
        contents.insert(labels, samples.collect());
    }
    contents
}

#[test]
fn a_directory_that_prometheus_writes_to_is_sound_and_dumped_whole() {
    let dir = tempfile::tempdir().unwrap();
    let written = write_directory(dir.path());
    let server = Prometheus::start(dir.path());
    let check = || {
        let mut problems: Vec<Problem> = Vec::new();
        let verified = verify(dir.path(), &mut |problem| problems.push(problem)).unwrap();
        assert_eq!(problems, []);
        assert_eq!(dumped(dir.path(), "metric"), written);
        verified
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while dumped(dir.path(), "up").values().all(|samples| samples.len() < 10) {
        check();
        assert!(Instant::now() < deadline, "prometheus does not scrape itself");
        thread::sleep(Duration::from_millis(30));
    }
    server.stop();
    assert!(check().head_chunks > 0);
}
