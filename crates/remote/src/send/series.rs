//! What a destination gets of each series: its labels after relabelling, encoded once.
//!
//! - FORWARD-1: external labels are added where a series does not have them, then the relabelling
//!   steps run, as in Prometheus (`storage/remote/queue_manager.go`).
//! - FORWARD-2: with remote write 2.0 a metric is described by one of its series now and then, not by
//!   each of them each time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use model::{Labels, METRIC_NAME, Metadata};
use parking_lot::Mutex;
use relabel::{RelabelStep, Verdict, relabel};
use rustc_hash::FxHashMap;
use tsdb::LogSeries;

use crate::send::config::Protocol;
use crate::send::encode;
use crate::send::symbols::{Symbol, Symbols, Table};

/// A series as a destination sees it.
#[derive(Debug)]
pub(super) struct Forwarded {
    pub(super) labels: SentLabels,
    pub(super) metric: Arc<Metric>,
    /// The same after a restart, and for every number that the log gives the series.
    pub(super) hash: u64,
    /// Series that came together have numbers in a row: their labels are alike, too.
    pub(super) order: u64,
}

#[derive(Debug, PartialEq)]
pub(super) enum SentLabels {
    /// Remote write 1.0's label fields, ready to be put into a message.
    Fields(Box<[u8]>),
    /// Names and values.
    Symbols(Box<[[Symbol; 2]]>),
}

impl SentLabels {
    pub(super) fn new(labels: &Labels, protocol: Protocol, symbols: &Symbols) -> Self {
        match protocol {
            Protocol::V1 => {
                let mut fields = Vec::new();
                encode::v1::put_labels(&mut fields, labels);
                Self::Fields(fields.into())
            }
            Protocol::V2 => {
                let mut table = symbols.write();
                let pairs = labels.iter().map(<[&str; 2]>::from);
                Self::Symbols(pairs.map(|pair| pair.map(|text| table.intern(text))).collect())
            }
        }
    }

    fn symbols(&self) -> &[Symbol] {
        match self {
            Self::Fields(_) => &[],
            Self::Symbols(pairs) => pairs.as_flattened(),
        }
    }
}

/// What series of one name have in common.
#[derive(Debug, Default)]
pub(super) struct Metric {
    /// When it was last looked up what is known of the metric.
    round: AtomicU32,
    /// Whether the destination is to be told.
    is_due: AtomicBool,
    described: Mutex<Option<Described>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) metric_type: u8,
    pub(super) help: Symbol,
    pub(super) unit: Symbol,
}

impl Metric {
    /// What the destination is to be told, once.
    pub(super) fn take_due(&self) -> Option<Described> {
        if !self.is_due.load(Ordering::Relaxed) || !self.is_due.swap(false, Ordering::Relaxed) {
            return None;
        }
        *self.described.lock()
    }

    pub(super) fn describe(&self, metadata: Option<Metadata>, table: &mut Table, round: u32) {
        let described = metadata.map(|metadata| Described {
            metric_type: metadata.metric_type.number(),
            help: table.intern(&metadata.help),
            unit: table.intern(&metadata.unit),
        });
        *self.described.lock() = described;
        self.round.store(round, Ordering::Relaxed);
        self.is_due.store(described.is_some(), Ordering::Relaxed);
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

/// What the log knows of a series.
pub(super) trait Lookup {
    fn labels(&self, series: LogSeries) -> Option<Labels>;
    fn metadata(&self, series: LogSeries) -> Option<Metadata>;
}

/// Remembers what became of each of the log's series.
#[derive(Debug)]
pub(super) struct SeriesCache {
    external_labels: Labels,
    steps: Vec<RelabelStep>,
    protocol: Protocol,
    symbols: Symbols,
    /// By number; series that came together are in one page, and are asked for together.
    known: FxHashMap<u64, Box<Page>>,
    /// By name, of series that are known.
    metrics: HashMap<Box<str>, Arc<Metric>>,
    /// Forgotten, but on their way yet: their symbols are needed.
    leaving: Vec<Arc<Forwarded>>,
    made: u64,
    idle_round: u32,
    /// Metrics that were looked up in another round are to be looked up again; 0 while none is.
    describing_round: u32,
}

const PAGE: u64 = 64;

type Page = [Option<Known>; PAGE as usize];

#[derive(Debug)]
struct Known {
    /// `None` where relabelling drops the series.
    forwarded: Option<Arc<Forwarded>>,
    last_used: u32,
    /// In which round the metric was last looked at.
    described: u32,
}

const _: () = assert!(size_of::<Option<Known>>() == 24);

impl SeriesCache {
    pub(super) fn new(
        external_labels: Labels,
        steps: Vec<RelabelStep>,
        protocol: Protocol,
        symbols: Symbols,
    ) -> Self {
        Self {
            external_labels,
            steps,
            protocol,
            symbols,
            known: FxHashMap::default(),
            metrics: HashMap::new(),
            leaving: Vec::new(),
            made: 0,
            idle_round: 0,
            describing_round: 0,
        }
    }

    /// From now on the destination is spoken to so.
    pub(super) fn speak(&mut self, protocol: Protocol) {
        if self.protocol != protocol {
            self.protocol = protocol;
            self.forget(|_| false);
        }
    }

    /// The destination is to be told once more what is known of its metrics (FORWARD-2).
    pub(super) fn describe_anew(&mut self) {
        self.describing_round = self.describing_round.wrapping_add(1).max(1);
    }

    /// What the destination gets of `series`, whose labels are asked for only the first time.
    pub(super) fn get(&mut self, series: LogSeries, log: &impl Lookup) -> Fate<'_> {
        let (page, place) = (series.0 / PAGE, (series.0 % PAGE) as usize);
        let is_known = self.known.get(&page).is_some_and(|page| page[place].is_some());
        if !is_known {
            let Some(labels) = log.labels(series) else { return Fate::Unknown };
            let forwarded = self.rewrite(&labels).map(|labels| self.forwarded(&labels));
            let known = Known { forwarded, last_used: self.idle_round, described: 0 };
            let new_page = || Box::new([const { None }; PAGE as usize]);
            self.known.entry(page).or_insert_with(new_page)[place] = Some(known);
        }
        let Some(known) = self.known.get_mut(&page).and_then(|page| page[place].as_mut()) else {
            return Fate::Unknown;
        };
        known.last_used = self.idle_round;
        let Some(forwarded) = &known.forwarded else { return Fate::Dropped };
        if known.described != self.describing_round {
            known.described = self.describing_round;
            if forwarded.metric.round.load(Ordering::Relaxed) != self.describing_round {
                let metadata = log.metadata(series);
                let table = &mut self.symbols.write();
                forwarded.metric.describe(metadata, table, self.describing_round);
            }
        }
        Fate::Forward(forwarded)
    }

    fn forwarded(&mut self, labels: &Labels) -> Arc<Forwarded> {
        let metric = match self.metrics.get(labels.metric_name()) {
            Some(metric) => Arc::clone(metric),
            None => {
                let metric = Arc::<Metric>::default();
                self.metrics.insert(labels.metric_name().into(), Arc::clone(&metric));
                metric
            }
        };
        self.made += 1;
        Arc::new(Forwarded {
            labels: SentLabels::new(labels, self.protocol, &self.symbols),
            metric,
            hash: labels.stable_hash(),
            order: self.made,
        })
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
        let round = self.idle_round;
        self.forget(|known| known.last_used == round);
        self.idle_round += 1;
    }

    fn forget(&mut self, stays: impl Fn(&Known) -> bool) {
        for page in self.known.values_mut() {
            let gone = page.iter_mut().filter_map(|known| known.take_if(|known| !stays(known)));
            self.leaving.extend(gone.filter_map(|known| known.forwarded));
        }
        self.known.retain(|_, page| page.iter().any(Option::is_some));
        self.leaving.retain(|forwarded| Arc::strong_count(forwarded) > 1);
        self.metrics.retain(|_, metric| Arc::strong_count(metric) > 1);
        let known = self.known.values().flat_map(|page| page.iter().flatten());
        let known = known.filter_map(|known| known.forwarded.as_ref());
        let labels = known.chain(&self.leaving).flat_map(|forwarded| forwarded.labels.symbols());
        let described = self.metrics.values().filter_map(|metric| *metric.described.lock());
        let described = described.flat_map(|described| [described.help, described.unit]);
        self.symbols.write().keep(labels.copied().chain(described));
    }

    /// Whether a series of the family was forwarded: what a destination does not get, it is not told
    /// about either.
    pub(super) fn has_family(&self, family: &str) -> bool {
        self.metrics.contains_key(family)
            || ["_total", "_bucket", "_count", "_sum", "_info", "_created"]
                .iter()
                .any(|suffix| self.metrics.contains_key(format!("{family}{suffix}").as_str()))
    }
}

#[cfg(test)]
impl Forwarded {
    pub(super) fn new(labels: &Labels, protocol: Protocol, symbols: &Symbols) -> Self {
        Self {
            labels: SentLabels::new(labels, protocol, symbols),
            metric: Arc::default(),
            hash: labels.stable_hash(),
            order: labels.stable_hash(),
        }
    }
}

#[cfg(test)]
#[path = "series/tests.rs"]
mod tests;
