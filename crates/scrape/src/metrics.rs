//! What scraping says of itself.
//!
//! SCRAPE-4: `scraped + generated = appended + Σ dropped{reason}`.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use storage::{Appended, RejectReason};

use crate::ingest::Counts;

/// Seconds: from unnoticeable to a whole short interval.
const LATENESS_BUCKETS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) targets: IntGauge,
    pub(crate) targets_dropped: IntGauge,
    scrapes: IntCounter,
    failures: IntCounter,
    lateness: Histogram,
    scraped: IntCounter,
    generated: IntCounter,
    appended: IntCounter,
    dropped: IntCounterVec,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(format!("watershed_scrape_{name}"), help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(format!("watershed_scrape_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let lateness = Histogram::with_opts(
            HistogramOpts::new(
                "watershed_scrape_lateness_seconds",
                "How long after its due time a scrape began.",
            )
            .buckets(LATENESS_BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(lateness.clone()))?;
        let dropped = IntCounterVec::new(
            Opts::new(
                "watershed_scrape_samples_dropped_total",
                "Samples scraped or generated that were not appended, by reason.",
            ),
            &["reason"],
        )?;
        registry.register(Box::new(dropped.clone()))?;
        Ok(Self {
            targets: gauge("targets", "Targets that are scraped.")?,
            targets_dropped: gauge("targets_dropped", "Targets dropped by relabelling.")?,
            scrapes: counter("scrapes_total", "Scrapes ended, failed ones among them.")?,
            failures: counter("scrape_failures_total", "Scrapes that failed.")?,
            lateness,
            scraped: counter("samples_scraped_total", "Samples read from bodies.")?,
            generated: counter(
                "samples_generated_total",
                "Samples about scrapes (up and the like), and staleness markers.",
            )?,
            appended: counter("samples_appended_total", "Samples that storage took.")?,
            dropped,
        })
    }

    pub(crate) fn began(&self, lateness: Duration) {
        self.lateness.observe(lateness.as_secs_f64());
    }

    pub(crate) fn ended(&self, tally: &Tally) {
        self.scrapes.inc();
        self.failures.inc_by(u64::from(tally.failed));
        self.count(tally);
    }

    /// Counts what a batch was made of and what became of it.
    pub(crate) fn count(&self, tally: &Tally) {
        self.scraped.inc_by(tally.counts.scraped);
        self.generated.inc_by(tally.generated());
        self.appended.inc_by(tally.appended());
        for (reason, samples) in tally.dropped() {
            self.dropped.with_label_values(&[reason]).inc_by(samples);
        }
    }
}

/// One batch, sample by sample.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) failed: bool,
    /// `None` if the commit failed.
    pub(crate) appended: Option<Appended>,
}

impl Tally {
    /// Lines that went into the batch.
    fn read(&self) -> u64 {
        if self.failed {
            return 0;
        }
        let Counts { kept, duplicates, ahead, .. } = self.counts;
        kept - duplicates - ahead
    }

    /// The rest of what storage was given; nobody counts it if storage failed.
    fn generated(&self) -> u64 {
        self.appended.as_ref().map_or(0, |appended| {
            (appended.samples + appended.rejected.len() as u64).saturating_sub(self.read())
        })
    }

    fn appended(&self) -> u64 {
        self.appended.as_ref().map_or(0, |appended| appended.samples)
    }

    fn dropped(&self) -> BTreeMap<&'static str, u64> {
        let mut dropped = BTreeMap::new();
        let Counts { scraped, kept, duplicates, ahead, .. } = self.counts;
        if self.failed {
            dropped.insert("failed", scraped);
        } else {
            dropped.insert("relabelled", scraped - kept);
            dropped.insert("duplicate", duplicates);
            dropped.insert("ahead", ahead);
        }
        match &self.appended {
            None => drop(dropped.insert("storage", self.read())),
            Some(appended) => {
                for reason in RejectReason::ALL {
                    let rejected = appended.rejected.iter().filter(|r| r.reason == reason).count();
                    dropped.insert(reason.as_str(), rejected as u64);
                }
            }
        }
        dropped.retain(|_, samples| *samples > 0);
        dropped
    }
}
