//! What the engine says of itself.

mod replay;

use prometheus::{
    Error, Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};
use storage::{ExemplarDropReason, RejectReason};

pub use replay::ReplayProgress;

#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) appended: IntCounter,
    pub(crate) repeated: IntCounter,
    rejected: IntCounterVec,
    pub(crate) out_of_order: IntCounter,
    pub(crate) exemplars: IntGauge,
    pub(crate) exemplars_appended: IntCounter,
    exemplars_dropped: IntCounterVec,
    pub(crate) series: IntGauge,
    pub(crate) series_removed: IntCounter,
    pub(crate) oldest_seconds: IntGauge,
    pub(crate) newest_seconds: IntGauge,
    pub(crate) log_segment: IntGauge,
    pub(crate) log_write_errors: IntCounter,
    pub(crate) log_damage: IntCounter,
    pub(crate) log_damage_bytes: IntCounter,
    pub(crate) log_damage_records: IntCounter,
    pub(crate) replay: ReplayProgress,
    pub(crate) replay_unknown_series: IntCounter,
    pub(crate) saved_heads_loaded: IntCounter,
    pub(crate) saved_heads_discarded: IntCounter,
    pub(crate) checkpoints: IntCounter,
    pub(crate) blocks: IntGauge,
    pub(crate) blocks_bytes: IntGauge,
    pub(crate) blocks_tombstones: IntGauge,
    pub(crate) blocks_written: IntCounter,
    pub(crate) blocks_broken: IntCounter,
    pub(crate) blocks_expired: IntCounter,
    pub(crate) compactions: IntCounter,
    pub(crate) compactions_failed: IntCounter,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name: &str, help: &str| {
            register(registry, IntCounter::new(format!("watershed_tsdb_{name}"), help)?)
        };
        let gauge = |name: &str, help: &str| {
            register(registry, IntGauge::new(format!("watershed_tsdb_{name}"), help)?)
        };
        let rejected = IntCounterVec::new(
            Opts::new(
                "watershed_tsdb_samples_rejected_total",
                "Samples refused while the rest of their batch was stored.",
            ),
            &["reason"],
        )?;
        for reason in RejectReason::ALL {
            rejected.with_label_values(&[reason.as_str()]); // shows as 0 from the start
        }
        let exemplars_dropped = IntCounterVec::new(
            Opts::new("watershed_tsdb_exemplars_dropped_total", "Exemplars that were not kept."),
            &["reason"],
        )?;
        for reason in ExemplarDropReason::ALL {
            exemplars_dropped.with_label_values(&[reason.as_str()]);
        }
        Ok(Self {
            appended: counter(
                "samples_appended_total",
                "Samples accepted, repeated ones included.",
            )?,
            repeated: counter(
                "samples_repeated_total",
                "Samples accepted that were stored already.",
            )?,
            rejected: register(registry, rejected)?,
            out_of_order: counter(
                "out_of_order_samples_appended_total",
                "Samples stored behind their series' newest.",
            )?,
            exemplars: gauge("exemplars", "Exemplars in memory.")?,
            exemplars_appended: counter(
                "exemplars_appended_total",
                "Exemplars accepted, repeated ones included.",
            )?,
            exemplars_dropped: register(registry, exemplars_dropped)?,
            series: gauge("head_series", "Series in the head.")?,
            series_removed: counter(
                "head_series_removed_total",
                "Series that left the head, having no samples there.",
            )?,
            oldest_seconds: gauge("head_min_time_seconds", "The oldest time in the head.")?,
            newest_seconds: gauge("head_max_time_seconds", "The newest time in the head.")?,
            log_segment: gauge("wal_segment_current", "The log segment being written.")?,
            log_write_errors: counter(
                "wal_writes_failed_total",
                "Batches that could not be logged.",
            )?,
            log_damage: counter("wal_corruptions_total", "Damaged places found in the log.")?,
            log_damage_bytes: counter(
                "wal_corrupted_bytes_total",
                "Bytes of log from damaged places to the ends of their segments.",
            )?,
            log_damage_records: counter(
                "wal_corrupted_records_total",
                "Records of log there, as far as they can be told.",
            )?,
            replay: ReplayProgress {
                segments: gauge("replay_segments", "Segments of the log to replay at start.")?,
                segments_read: gauge("replay_segments_read", "Of those, how many were begun.")?,
                bytes: gauge("replay_bytes", "Bytes of the log to replay at start.")?,
                bytes_read: gauge("replay_bytes_read", "Of those, how many were read.")?,
                duration_seconds: register(
                    registry,
                    Gauge::new(
                        "watershed_tsdb_replay_duration_seconds",
                        "How long the replay of the log took at start.",
                    )?,
                )?,
            },
            replay_unknown_series: counter(
                "wal_replay_unknown_refs_total",
                "Samples in the log whose series the log does not name; lost.",
            )?,
            saved_heads_loaded: counter(
                "saved_heads_loaded_total",
                "Starts that took over a saved head, in place of replaying the log.",
            )?,
            saved_heads_discarded: counter(
                "saved_heads_discarded_total",
                "Saved heads that were stale or damaged, so that the log was replayed.",
            )?,
            checkpoints: counter("checkpoints_created_total", "Checkpoints of the log written.")?,
            blocks: gauge("blocks_loaded", "Blocks being read.")?,
            blocks_bytes: gauge("storage_blocks_bytes", "Bytes that blocks take on disk.")?,
            blocks_tombstones: gauge(
                "blocks_tombstones",
                "Deleted ranges of series that blocks still have the samples of.",
            )?,
            blocks_written: counter("head_blocks_written_total", "Blocks written from the head.")?,
            blocks_broken: counter("blocks_broken_total", "Blocks that could not be opened.")?,
            blocks_expired: counter("blocks_expired_total", "Blocks removed by retention.")?,
            compactions: counter("compactions_total", "Times that blocks were merged.")?,
            compactions_failed: counter(
                "compactions_failed_total",
                "Times that blocks could not be merged because they could not be read.",
            )?,
        })
    }

    /// For whoever waits until the database is open.
    pub fn replay_progress(&self) -> ReplayProgress {
        self.replay.clone()
    }

    pub(crate) fn rejected(&self, reason: RejectReason) -> IntCounter {
        self.rejected.with_label_values(&[reason.as_str()])
    }

    pub(crate) fn exemplar_dropped(&self, reason: ExemplarDropReason) -> IntCounter {
        self.exemplars_dropped.with_label_values(&[reason.as_str()])
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
