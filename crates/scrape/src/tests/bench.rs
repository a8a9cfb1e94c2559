//! A target whose bodies go through ingestion into storage in memory.

use std::sync::Arc;

use client::HttpClient;
use exposition::Format;
use model::Timestamp;
use prometheus::Registry;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::job;
use super::store::Store;
use crate::fetch::{self, Body};
use crate::ingest::{Memory, Scrape};
use crate::job::Job;
use crate::scrape_loop::{Shared, store};
use crate::target::{Discovered, Target};
use crate::{Metrics, Options, ScrapeError};

/// One target, scraped at 10, 20, 30… seconds.
pub(super) struct Bench {
    pub(super) store: Store,
    shared: Shared,
    registry: Registry,
    pub(super) memory: Memory,
    pub(super) job: Job,
    target: Target,
    now: Timestamp,
}

/// What a fetch gives where there is no body.
pub(super) const DOWN: &str = "DOWN";

impl Bench {
    pub(super) fn new(config: &str) -> Self {
        Self::of_target("host:1", config)
    }

    pub(super) fn of_target(address: &str, config: &str) -> Self {
        let job = job(config);
        let mut listed = job.config.static_configs.first().cloned().unwrap_or_default();
        listed.targets = vec![address.to_owned()];
        let target = Target::discover(&job, &listed.group(0), 0).unwrap();
        let Discovered::Target(target) = target else { panic!("dropped") };
        let (store, registry) = (Store::default(), Registry::new());
        let shared = Shared {
            append: Arc::new(store.clone()),
            clock: Arc::new(|| Timestamp::EPOCH),
            options: Options {
                offset_seed: 0,
                key_seed: 7,
                external_host: String::new(),
                readers: 1,
            },
            metrics: Metrics::register(&registry).unwrap(),
            readers: Arc::new(Semaphore::new(1)),
        };
        let memory = Memory::new(7);
        let now = Timestamp::EPOCH;
        Self { store, shared, registry, memory, job, target: *target, now }
    }

    /// The error that the target's status would show; empty if all went well.
    pub(super) fn scrape(&mut self, body: &str) -> String {
        self.take(match body {
            DOWN => Err(ScrapeError::Status("503 Service Unavailable".into())),
            text if text.ends_with("# EOF\n") => Ok(Body::plain(text, Format::OpenMetrics)),
            text => Ok(Body::plain(text, Format::Text)),
        })
    }

    /// Asks the target itself.
    pub(super) async fn fetch(&mut self) -> String {
        let client = HttpClient::new(self.job.config.http.clone());
        let body = fetch::fetch(&client, &self.job, &self.target).await;
        self.take(body)
    }

    fn take(&mut self, body: Result<Body, ScrapeError>) -> String {
        self.now = self.now.plus_millis(10_000);
        let scrape = Scrape { job: &self.job, target: &self.target, at: self.now };
        let outcome = store(&mut self.memory, &self.shared, scrape, body, Instant::now());
        self.shared.metrics.ended(&outcome.tally);
        outcome.error.map_or(String::new(), |error| error.to_string())
    }

    /// The last value of a series about scrapes.
    pub(super) fn report(&self, name: &str) -> f64 {
        self.store.samples(name).last().expect("a sample").value
    }

    /// What the metrics say was dropped for `reason`.
    pub(super) fn dropped(&self, reason: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|f| f.name() == "watershed_scrape_samples_dropped_total");
        let metrics = family.map_or(&[][..], |family| family.get_metric());
        let wanted = metrics.iter().filter(|metric| metric.get_label()[0].value() == reason);
        wanted.map(|metric| metric.get_counter().get_value()).sum()
    }

    /// SCRAPE-4, from the metrics.
    #[track_caller]
    pub(super) fn check_books(&self) {
        let (mut taken_in, mut accounted) = (0.0, 0.0);
        for family in self.registry.gather() {
            let value: f64 =
                family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum();
            match family.name().strip_prefix("watershed_scrape_samples_").unwrap_or_default() {
                "scraped_total" | "generated_total" => taken_in += value,
                "appended_total" | "dropped_total" => accounted += value,
                _ => {}
            }
        }
        assert!(taken_in > 0.0);
        assert_eq!(taken_in, accounted);
    }
}
