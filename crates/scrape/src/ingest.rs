//! From a body to a batch in storage. Blocking; runs off the async threads.

use std::borrow::Cow;

use exposition::{Entry, Format, Parser, Sample as Line};
use model::{Labels, LabelsBuilder, METRIC_NAME, Metadata, STALE_NAN, Sample, Timestamp};
use relabel::{Verdict, relabel};
use rustc_hash::FxHashMap;
use storage::{AppendError, Appender, SeriesRef};
use xxhash_rust::xxh3::xxh3_64;

use crate::ScrapeError;
use crate::cache::{Cache, Found, Key};
use crate::job::Job;
use crate::target::Target;

/// A sample may be dated this far ahead of its scrape.
const AHEAD_MILLIS_MAX: i64 = 600_000;
/// The metadata of families that a target no longer exposes is forgotten above twice what it does
/// expose and this.
const FAMILIES_SLACK: usize = 100;

/// What a target's loop remembers between scrapes.
#[derive(Debug)]
pub(crate) struct Memory {
    cache: Cache,
    reports: [Option<SeriesRef>; Report::NAMES.len()],
    /// A hash of each family's metadata as storage has it, by a hash of its name.
    families: FxHashMap<u64, u64>,
}

/// What became of the lines of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) scraped: u64,
    /// Left after metric relabelling.
    pub(crate) kept: u64,
    pub(crate) series_added: u64,
    pub(crate) duplicates: u64,
    /// Dated too far ahead.
    pub(crate) ahead: u64,
}

/// What a scrape says of itself, as series beside the target's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) up: bool,
    pub(crate) duration_seconds: f64,
    pub(crate) counts: Counts,
}

impl Report {
    pub(crate) const NAMES: [&str; 5] = [
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    ];

    fn values(&self) -> [f64; Self::NAMES.len()] {
        [
            f64::from(u8::from(self.up)),
            self.duration_seconds,
            self.counts.scraped as f64,
            self.counts.kept as f64,
            self.counts.series_added as f64,
        ]
    }
}

impl Memory {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            cache: Cache::new(seed),
            reports: Default::default(),
            families: FxHashMap::default(),
        }
    }

    /// To be called when texts name other series than before.
    pub(crate) fn forget_texts(&mut self) {
        self.cache.forget_texts();
    }

    /// Reads `body` into the batch. After an error the batch is to be dropped and another one given
    /// to [`Memory::mark_all`]; the counts say how far it went.
    pub(crate) fn read(
        &mut self,
        appender: &mut dyn Appender,
        scrape: Scrape<'_>,
        body: &[u8],
        format: Format,
    ) -> (Counts, Result<(), ScrapeError>) {
        let mut reading = Reading { memory: self, appender, scrape, counts: Counts::default() };
        let result = reading.body(body, format);
        (reading.counts, result)
    }

    /// Marks every open series stale: the scrape failed, or the target has gone.
    pub(crate) fn mark_all(
        &mut self,
        appender: &mut dyn Appender,
        at: Timestamp,
    ) -> Result<(), AppendError> {
        self.families.clear(); // the dropped batch may have had metadata
        let ended = self.cache.fail();
        mark(appender, &ended, at)
    }

    /// Marks the series of reports stale: the target has gone.
    pub(crate) fn mark_reports(
        &mut self,
        appender: &mut dyn Appender,
        at: Timestamp,
    ) -> Result<(), AppendError> {
        let reports: Vec<SeriesRef> = self.reports.iter_mut().filter_map(Option::take).collect();
        mark(appender, &reports, at)
    }

    pub(crate) fn report(
        &mut self,
        appender: &mut dyn Appender,
        target: &Target,
        at: Timestamp,
        report: &Report,
    ) -> Result<(), AppendError> {
        for (index, value) in report.values().into_iter().enumerate() {
            let sample = Sample { timestamp: at, value };
            if let Some(series) = self.reports[index] {
                match appender.sample(series, sample) {
                    Err(AppendError::UnknownSeries(_)) => {} // made anew below
                    other => {
                        other?;
                        continue;
                    }
                }
            }
            let mut labels = target.labels.to_builder();
            labels.set(METRIC_NAME, Report::NAMES[index]);
            let series = appender.series(&labels.build(), None)?;
            appender.sample(series, sample)?;
            self.reports[index] = Some(series);
        }
        Ok(())
    }
}

/// Markers for series that storage has forgotten are not needed any more.
fn mark(
    appender: &mut dyn Appender,
    ended: &[SeriesRef],
    at: Timestamp,
) -> Result<(), AppendError> {
    for &series in ended {
        match appender.sample(series, Sample { timestamp: at, value: STALE_NAN }) {
            Ok(()) | Err(AppendError::UnknownSeries(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Which scrape of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scrape<'a> {
    pub(crate) job: &'a Job,
    pub(crate) target: &'a Target,
    /// Of the samples that carry no time of their own.
    pub(crate) at: Timestamp,
}

struct Reading<'a> {
    memory: &'a mut Memory,
    appender: &'a mut dyn Appender,
    scrape: Scrape<'a>,
    counts: Counts,
}

impl Reading<'_> {
    fn body(&mut self, body: &[u8], format: Format) -> Result<(), ScrapeError> {
        let mut parser = Parser::new(body, format)?;
        let mut family = Family::default();
        let mut families = 0;
        while let Some(entry) = parser.next() {
            match entry? {
                Entry::Sample(line) => {
                    families += usize::from(self.flush(&mut family)?);
                    self.line(&parser, &line)?;
                }
                other => {
                    if !family.take(&other) {
                        families += usize::from(self.flush(&mut family)?);
                        family.take(&other);
                    }
                }
            }
        }
        self.flush(&mut family)?;
        if let Some(limit) = self.scrape.job.limits.samples
            && self.counts.kept > limit
        {
            return Err(ScrapeError::SampleLimit { samples: self.counts.kept, limit });
        }
        if self.memory.families.len() > 2 * families + FAMILIES_SLACK {
            self.memory.families.clear();
        }
        let ended = self.memory.cache.finish();
        mark(self.appender, &ended, self.scrape.at)?;
        Ok(())
    }

    fn line(&mut self, parser: &Parser<'_>, line: &Line<'_>) -> Result<(), ScrapeError> {
        self.counts.scraped += 1;
        let config = &self.scrape.job.config;
        let own_time = line.timestamp.filter(|_| config.honor_timestamps);
        let tracked = own_time.is_none() || config.track_timestamps_staleness;
        let timestamp = own_time.unwrap_or(self.scrape.at);
        let sample = Sample { timestamp, value: line.value };

        let key = self.memory.cache.key(line.series);
        match self.memory.cache.find(key, tracked) {
            Found::Dropped => Ok(()),
            Found::Series { again: true, .. } if own_time.is_none() => {
                self.counts.kept += 1;
                self.counts.duplicates += 1;
                Ok(())
            }
            Found::Series { series, .. } => {
                self.counts.kept += 1;
                if !self.is_wanted(timestamp) {
                    return Ok(());
                }
                match self.appender.sample(series, sample) {
                    Err(AppendError::UnknownSeries(_)) => {
                        // It was idle and left storage; its text leads to a new one from now on.
                        let Some(labels) = self.labels(parser, line)? else { return Ok(()) };
                        self.add(key, &labels, sample, tracked)
                    }
                    other => Ok(other?),
                }
            }
            Found::Unknown => {
                let Some(labels) = self.labels(parser, line)? else {
                    self.memory.cache.insert_dropped(key);
                    return Ok(());
                };
                self.counts.kept += 1;
                if !self.is_wanted(timestamp) {
                    return Ok(());
                }
                self.counts.series_added += 1;
                self.add(key, &labels, sample, tracked)
            }
        }
    }

    /// Above the sample limit lines are only counted, for the error to name their number.
    fn is_wanted(&mut self, timestamp: Timestamp) -> bool {
        if timestamp > self.scrape.at.plus_millis(AHEAD_MILLIS_MAX) {
            self.counts.ahead += 1;
            return false;
        }
        self.scrape.job.limits.samples.is_none_or(|limit| self.counts.kept <= limit)
    }

    fn add(
        &mut self,
        key: Key,
        labels: &Labels,
        sample: Sample,
        tracked: bool,
    ) -> Result<(), ScrapeError> {
        let series = self.appender.series(labels, None)?;
        self.appender.sample(series, sample)?;
        self.memory.cache.insert(key, series, tracked);
        Ok(())
    }

    /// The labels under which a line is stored; `None` if relabelling drops it.
    fn labels(&self, parser: &Parser<'_>, line: &Line<'_>) -> Result<Option<Labels>, ScrapeError> {
        let mut labels = parser.labels(line)?;
        let config = &self.scrape.job.config;
        add_target_labels(&mut labels, &self.scrape.target.labels, config.honor_labels);
        if relabel(&config.metric_relabel_configs, &mut labels) == Verdict::Drop
            || labels.is_empty()
        {
            return Ok(None);
        }
        if labels.get(METRIC_NAME).is_none() {
            return Err(ScrapeError::NoMetricName);
        }
        check_label_limits(&labels, self.scrape.job)?;
        Ok(Some(labels.build()))
    }

    /// Hands a family's metadata on if it differs from what storage has. True if there was a family.
    fn flush(&mut self, family: &mut Family<'_>) -> Result<bool, ScrapeError> {
        let Some(name) = family.name.take() else { return Ok(false) };
        let metadata = std::mem::take(&mut family.metadata);
        if metadata != Metadata::default() {
            let hash = family_hash(&metadata);
            if self.memory.families.insert(xxh3_64(name.as_bytes()), hash) != Some(hash) {
                self.appender.metadata(&name, &metadata)?;
            }
        }
        Ok(true)
    }
}

fn family_hash(metadata: &Metadata) -> u64 {
    let Metadata { metric_type, help, unit } = metadata;
    xxh3_64(format!("{metric_type}\0{unit}\0{help}").as_bytes())
}

/// The comment lines about one family, gathered until its samples or another family begin.
#[derive(Default)]
struct Family<'a> {
    name: Option<Cow<'a, str>>,
    metadata: Metadata,
}

impl<'a> Family<'a> {
    /// False if `entry` is about another family.
    fn take(&mut self, entry: &Entry<'a>) -> bool {
        let (Entry::Type { family, .. } | Entry::Help { family, .. } | Entry::Unit { family, .. }) =
            entry
        else {
            return true;
        };
        if self.name.as_ref().is_some_and(|name| name != family) {
            return false;
        }
        self.name = Some(family.clone());
        match entry {
            Entry::Type { metric_type, .. } => self.metadata.metric_type = *metric_type,
            Entry::Help { help, .. } => self.metadata.help = help.as_ref().to_owned(),
            Entry::Unit { unit, .. } => self.metadata.unit = (*unit).to_owned(),
            Entry::Sample(_) => {}
        }
        true
    }
}

/// Adds the target's labels to a series'. Where both have one, the target's stands and the exposed
/// one is kept as `exported_…`; with `honor` the exposed one stands.
fn add_target_labels(labels: &mut LabelsBuilder, target: &Labels, honor: bool) {
    let mut exported = Vec::new();
    for (name, value) in target {
        match labels.get(name) {
            Some(_) if honor => continue,
            Some(exposed) => exported.push((name, exposed.to_owned())),
            None => {}
        }
        labels.set(name, value);
    }
    // Short names first, so that of `a` and `exported_a` each gets the name that is its due.
    exported.sort_by_key(|(name, _)| name.len());
    for (name, value) in exported {
        let mut name = format!("exported_{name}");
        while labels.get(&name).is_some() {
            name.insert_str(0, "exported_");
        }
        labels.set(name, value);
    }
}

fn check_label_limits(labels: &LabelsBuilder, job: &Job) -> Result<(), ScrapeError> {
    let limits = &job.limits;
    let metric = || labels.value(METRIC_NAME).to_owned();
    if let Some(limit) = limits.labels {
        let count = labels.iter().count() as u64;
        if count > limit {
            return Err(ScrapeError::LabelLimit { metric: metric(), labels: count, limit });
        }
    }
    for (name, value) in labels.iter() {
        let (metric, name, length) = (metric, || name.to_owned(), name.len() as u64);
        if let Some(limit) = limits.label_name_length
            && length > limit
        {
            let (metric, name) = (metric(), name());
            return Err(ScrapeError::LabelNameLength { metric, name, length, limit });
        }
        let length = value.len() as u64;
        if let Some(limit) = limits.label_value_length
            && length > limit
        {
            let (metric, name) = (metric(), name());
            return Err(ScrapeError::LabelValueLength { metric, name, length, limit });
        }
    }
    Ok(())
}
