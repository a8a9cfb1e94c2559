//! How far the log has been replayed, for `/metrics` and for whoever asks whether we are ready.

use std::fmt;

use prometheus::{Gauge, IntGauge};

#[derive(Clone, Debug)]
pub struct ReplayProgress {
    pub(super) segments: IntGauge,
    pub(super) segments_read: IntGauge,
    pub(super) bytes: IntGauge,
    pub(super) bytes_read: IntGauge,
    pub(super) duration_seconds: Gauge,
}

impl ReplayProgress {
    pub(crate) fn begin(&self, segments: usize, bytes: u64) {
        self.segments.set(segments as i64);
        self.bytes.set(bytes.cast_signed());
    }

    /// All before `bytes` have been read, the last of them in the `segment`th segment.
    pub(crate) fn reached(&self, segment: usize, bytes: u64) {
        self.segments_read.set(segment as i64);
        self.bytes_read.set(bytes.cast_signed());
    }

    pub(crate) fn took(&self, seconds: f64) {
        self.duration_seconds.set(seconds);
    }
}

/// `replaying the log: segment 5 of 12, 41 %`
impl fmt::Display for ReplayProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (segments, bytes) = (self.segments.get(), self.bytes.get());
        let (segment, read) = (self.segments_read.get().max(1), self.bytes_read.get());
        if bytes == 0 {
            return f.write_str("opening the storage");
        }
        let percent = read * 100 / bytes;
        write!(f, "replaying the log: segment {segment} of {segments}, {percent} %")
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use crate::Metrics;

    #[test]
    fn progress_is_told_in_words() {
        #[track_caller]
        fn check(reached: Option<(usize, u64)>, expect: &str) {
            let progress = Metrics::register(&Registry::new()).unwrap().replay_progress();
            assert_eq!(progress.to_string(), "opening the storage");
            progress.begin(12, 1000);
            reached.into_iter().for_each(|(segment, bytes)| progress.reached(segment, bytes));
            assert_eq!(progress.to_string(), expect);
        }
        check(None, "replaying the log: segment 1 of 12, 0 %");
        check(Some((5, 418)), "replaying the log: segment 5 of 12, 41 %");
        check(Some((12, 1000)), "replaying the log: segment 12 of 12, 100 %");
    }
}
