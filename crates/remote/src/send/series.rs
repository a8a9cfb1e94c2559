//! What a destination gets of each series: its labels after relabelling, encoded once.
//!
//! - FORWARD-1: external labels are added where a series does not have them, then the relabelling
//!   steps run, as in Prometheus (`storage/remote/queue_manager.go`).

use std::sync::Arc;

use model::{Labels, METRIC_NAME};
use relabel::{RelabelStep, Verdict, relabel};
use rustc_hash::{FxHashMap, FxHashSet};
use tsdb::LogSeries;

use crate::send::encode;

/// A series as a destination sees it.
#[derive(Debug)]
pub(super) struct Forwarded {
    /// Remote write 1.0's label fields, ready to be put into a message.
    pub(super) label_section: Box<[u8]>,
    /// The same after a restart, and for every number that the log gives the series.
    pub(super) hash: u64,
}

impl Forwarded {
    pub(super) fn new(labels: &Labels) -> Self {
        let mut section = Vec::new();
        encode::put_labels(&mut section, labels);
        Self { label_section: section.into(), hash: labels.stable_hash() }
    }
}

/// What becomes of a series' samples.
#[derive(Debug)]
pub(super) enum Fate<'a> {
    Forward(&'a Arc<Forwarded>),
    /// Relabelling drops it.
    Dropped,
    /// The log no longer knows what it is.
    Unknown,
}

/// Remembers what became of each of the log's series.
#[derive(Debug)]
pub(super) struct SeriesCache {
    external_labels: Labels,
    steps: Vec<RelabelStep>,
    known: FxHashMap<LogSeries, Known>,
    metric_names: FxHashSet<Box<str>>,
    round: u32,
}

#[derive(Debug)]
struct Known {
    /// `None` where relabelling drops the series.
    forwarded: Option<Arc<Forwarded>>,
    last_used: u32,
}

impl SeriesCache {
    pub(super) fn new(external_labels: Labels, steps: Vec<RelabelStep>) -> Self {
        Self {
            external_labels,
            steps,
            known: FxHashMap::default(),
            metric_names: FxHashSet::default(),
            round: 0,
        }
    }

    /// What the destination gets of `series`, whose labels are asked for only the first time.
    pub(super) fn get(
        &mut self,
        series: LogSeries,
        labels: impl FnOnce() -> Option<Labels>,
    ) -> Fate<'_> {
        if !self.known.contains_key(&series) {
            let Some(labels) = labels() else { return Fate::Unknown };
            let labels = self.rewrite(&labels);
            if let Some(labels) = &labels
                && !self.metric_names.contains(labels.metric_name())
            {
                self.metric_names.insert(labels.metric_name().into());
            }
            let forwarded = labels.map(|labels| Arc::new(Forwarded::new(&labels)));
            self.known.insert(series, Known { forwarded, last_used: self.round });
        }
        let Some(known) = self.known.get_mut(&series) else { return Fate::Unknown };
        known.last_used = self.round;
        known.forwarded.as_ref().map_or(Fate::Dropped, Fate::Forward)
    }

    fn rewrite(&self, labels: &Labels) -> Option<Labels> {
        let mut builder = labels.to_builder();
        for (name, value) in &self.external_labels {
            if builder.get(name).is_none() {
                builder.set(name, value);
            }
        }
        if relabel(&self.steps, &mut builder) == Verdict::Drop {
            return None;
        }
        // What a receiver would refuse is not worth sending.
        (!builder.value(METRIC_NAME).is_empty()).then(|| builder.build())
    }

    /// Forgets the series that were not used since the call before.
    pub(super) fn forget_idle(&mut self) {
        let round = self.round;
        self.known.retain(|_, known| known.last_used == round);
        self.round += 1;
    }

    /// Whether a series of the family was forwarded: what a destination does not get, it is not told
    /// about either.
    pub(super) fn has_family(&self, family: &str) -> bool {
        self.metric_names.contains(family)
            || ["_total", "_bucket", "_count", "_sum", "_info", "_created"]
                .iter()
                .any(|suffix| self.metric_names.contains(format!("{family}{suffix}").as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    fn cache(external: &[(&str, &str)], steps: &str) -> SeriesCache {
        SeriesCache::new(labels(external), serde_yaml_ng::from_str(steps).unwrap())
    }

    #[test]
    fn external_labels_are_added_before_relabelling() {
        #[track_caller]
        fn check(steps: &str, series: &[(&str, &str)], expect: Option<&[(&str, &str)]>) {
            let mut cache = cache(&[("region", "eu"), ("replica", "a")], steps);
            let found = match cache.get(LogSeries(1), || Some(labels(series))) {
                Fate::Forward(series) => Some((series.label_section.clone(), series.hash)),
                Fate::Dropped => None,
                Fate::Unknown => panic!("labels were given"),
            };
            let expect = expect.map(|pairs| Forwarded::new(&labels(pairs)));
            assert_eq!(found, expect.map(|series| (series.label_section, series.hash)));
        }
        let up = [("__name__", "up"), ("job", "x")];
        check(
            "[]",
            &up,
            Some(&[("__name__", "up"), ("job", "x"), ("region", "eu"), ("replica", "a")]),
        );
        check(
            "[]",
            &[("__name__", "up"), ("region", "us")],
            Some(&[("__name__", "up"), ("region", "us"), ("replica", "a")]),
        );
        check(
            "[{action: labeldrop, regex: replica}]",
            &up,
            Some(&[("__name__", "up"), ("job", "x"), ("region", "eu")]),
        );
        check("[{action: drop, source_labels: [region], regex: eu}]", &up, None);
        check("[{action: labeldrop, regex: __name__}]", &up, None);
    }

    #[test]
    fn labels_are_asked_for_once_and_again_after_idling() {
        let mut cache = cache(&[], "[]");
        let mut asked = 0;
        let mut get = |cache: &mut SeriesCache| {
            let ask = || {
                asked += 1;
                Some(labels(&[("__name__", "up")]))
            };
            assert!(matches!(cache.get(LogSeries(7), ask), Fate::Forward(_)));
            asked
        };
        assert_eq!((get(&mut cache), get(&mut cache)), (1, 1));
        cache.forget_idle();
        assert_eq!(get(&mut cache), 1);
        cache.forget_idle();
        cache.forget_idle();
        assert_eq!(get(&mut cache), 2);
    }

    #[test]
    fn a_series_without_known_labels_is_asked_for_again() {
        let mut cache = cache(&[], "[]");
        assert!(matches!(cache.get(LogSeries(1), || None), Fate::Unknown));
        let up = || Some(labels(&[("__name__", "up")]));
        assert!(matches!(cache.get(LogSeries(1), up), Fate::Forward(_)));
    }

    #[test]
    fn only_forwarded_families_are_described() {
        let mut cache = cache(&[], "[{action: keep, source_labels: [__name__], regex: 'http.*'}]");
        for (series, name) in [(1, "http_seconds_bucket"), (2, "http_up"), (3, "secret")] {
            cache.get(LogSeries(series), || Some(labels(&[("__name__", name)])));
        }
        assert!(cache.has_family("http_seconds") && cache.has_family("http_up"));
        assert!(!cache.has_family("secret") && !cache.has_family("http"));
    }
}
