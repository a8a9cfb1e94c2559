//! The newest exemplars of all series together.
//!
//! ```text
//! arrivals := series*             one for each exemplar, in the order in which they came
//! series   := labels ─► exemplar* in order
//! ```
//! - EXEMPLARS-1: there are no more than `max`, and with what holds them and the labels of their series
//!   they take no more than a KiB each on average: the oldest arrival makes room.
//! - EXEMPLARS-2: those of one series are in order of their times, then values, then labels, each once.
//!   The oldest of a series is therefore the one that arrived first.
//! - Source: Prometheus `tsdb/exemplar.go`.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use model::matcher::all_match;
use model::{Exemplar, Labels, Matcher, TimeRange};
use parking_lot::RwLock;
use storage::ExemplarDropReason;

const BYTES_EACH: usize = 1024;
/// What a series takes beside its labels: its place in the map, and the list of its exemplars.
const SERIES_BYTES: usize = 192;
/// What an exemplar takes beside its labels.
const EXEMPLAR_BYTES: usize = 80;

#[derive(Debug)]
pub(crate) struct Exemplars {
    max: usize,
    bytes: usize,
    arrivals: VecDeque<Labels>,
    series: HashMap<Labels, VecDeque<Exemplar>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    Repeated,
    Dropped(ExemplarDropReason),
}

impl Exemplars {
    /// With `max` of 0 none are kept.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, bytes: 0, arrivals: VecDeque::new(), series: HashMap::new() }
    }

    pub(crate) fn resize(&mut self, max: usize) {
        self.max = max;
        self.make_room();
        self.arrivals.shrink_to_fit();
        self.series.shrink_to_fit();
    }

    /// What is to become of an exemplar of `series`. `planned`: those that will have been pushed before
    /// it, in order.
    pub(crate) fn check(
        &self,
        series: &Labels,
        planned: &[Exemplar],
        exemplar: &Exemplar,
    ) -> Verdict {
        if self.max == 0 {
            return Verdict::Dropped(ExemplarDropReason::Disabled);
        }
        let characters = |text: &str| text.chars().count();
        let length: usize =
            exemplar.labels.iter().map(|(name, value)| characters(name) + characters(value)).sum();
        if length > Exemplar::LABELS_LENGTH_MAX {
            return Verdict::Dropped(ExemplarDropReason::LabelsTooLong);
        }
        let kept = self.series.get(series);
        let newest = planned.last().or_else(|| kept?.back());
        if newest.is_none_or(|newest| order(newest, exemplar).is_lt()) {
            return Verdict::New;
        }
        let is_there = planned.binary_search_by(|one| order(one, exemplar)).is_ok()
            || kept.is_some_and(|kept| kept.binary_search_by(|one| order(one, exemplar)).is_ok());
        if is_there { Verdict::Repeated } else { Verdict::Dropped(ExemplarDropReason::OutOfOrder) }
    }

    /// Adds one that [`Exemplars::check`] found to be new.
    pub(crate) fn push(&mut self, series: &Labels, exemplar: Exemplar) {
        let bytes = exemplar_bytes(&exemplar);
        // One allocation of labels for each series, however often they are given.
        let series = match self.series.get_key_value(series) {
            Some((known, _)) => known.clone(),
            None => {
                self.bytes += series_bytes(series);
                series.clone()
            }
        };
        self.series.entry(series.clone()).or_default().push_back(exemplar);
        self.arrivals.push_back(series);
        self.bytes += bytes;
        self.make_room();
    }

    /// All of them, with the labels of their series, in the order in which they came.
    pub(crate) fn by_arrival(&self) -> impl Iterator<Item = (&Labels, &Exemplar)> {
        let mut rest: HashMap<&Labels, _> =
            self.series.iter().map(|(series, kept)| (series, kept.iter())).collect();
        self.arrivals.iter().filter_map(move |series| Some((series, rest.get_mut(series)?.next()?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.arrivals.len()
    }

    fn make_room(&mut self) {
        while self.arrivals.len() > self.max || self.bytes > self.max.saturating_mul(BYTES_EACH) {
            let Some(series) = self.arrivals.pop_front() else { return };
            let kept = self.series.get_mut(&series).expect("an arrival is in its series' list");
            let oldest = kept.pop_front().expect("an arrival is in its series' list");
            self.bytes -= exemplar_bytes(&oldest);
            if kept.is_empty() {
                self.bytes -= series_bytes(&series);
                self.series.remove(&series);
            }
        }
    }

    fn within(&self, series: &Labels, range: TimeRange) -> Vec<Exemplar> {
        let Some(kept) = self.series.get(series) else { return Vec::new() };
        let first = kept.partition_point(|exemplar| exemplar.timestamp < range.start);
        let kept = kept.iter().skip(first);
        kept.take_while(|exemplar| exemplar.timestamp <= range.end).cloned().collect()
    }
}

/// The exemplars of each series that meets all matchers of any one set, or of all series where there
/// is no set; sorted by series. Matchers run while nothing is locked.
pub(crate) fn select(
    exemplars: &RwLock<Exemplars>,
    range: TimeRange,
    matcher_sets: &[Vec<Matcher>],
) -> Vec<(Labels, Vec<Exemplar>)> {
    let mut selected: Vec<Labels> = exemplars.read().series.keys().cloned().collect();
    if !matcher_sets.is_empty() {
        selected.retain(|series| matcher_sets.iter().any(|set| all_match(set, series)));
    }
    selected.sort_unstable();
    let exemplars = exemplars.read();
    let with_exemplars = selected.into_iter().map(|series| {
        let within = exemplars.within(&series, range);
        (series, within)
    });
    with_exemplars.filter(|(_, within)| !within.is_empty()).collect()
}

fn order(a: &Exemplar, b: &Exemplar) -> Ordering {
    let by_time = a.timestamp.cmp(&b.timestamp);
    by_time.then_with(|| a.value.total_cmp(&b.value)).then_with(|| a.labels.cmp(&b.labels))
}

fn labels_bytes(labels: &Labels) -> usize {
    labels.iter().map(|(name, value)| name.len() + value.len() + 2).sum()
}

fn series_bytes(series: &Labels) -> usize {
    SERIES_BYTES + labels_bytes(series)
}

fn exemplar_bytes(exemplar: &Exemplar) -> usize {
    EXEMPLAR_BYTES + labels_bytes(&exemplar.labels)
}

#[cfg(test)]
#[path = "exemplars/tests.rs"]
mod tests;
