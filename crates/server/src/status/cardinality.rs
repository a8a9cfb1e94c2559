//! What `/api/v1/status/tsdb` shows of the storage.

use api::{HeadStats, Table, TsdbStatus};
use tsdb::statistics::Statistics;

/// Where there never was a sample, Prometheus shows the ends of time.
const NEVER: (i64, i64) = (i64::MAX, i64::MIN);

pub(super) fn status(statistics: Statistics) -> TsdbStatus {
    let (min_time, max_time) = match statistics.times {
        Some(times) => (times.start.as_millis(), times.end.as_millis()),
        None => NEVER,
    };
    TsdbStatus {
        head_stats: HeadStats {
            num_series: statistics.series,
            num_label_pairs: statistics.label_pairs,
            chunk_count: statistics.chunks,
            min_time,
            max_time,
        },
        series_count_by_metric_name: Table(statistics.series_by_metric),
        label_value_count_by_label_name: Table(statistics.values_by_label),
        memory_in_bytes_by_label_name: Table(statistics.bytes_by_label),
        series_count_by_label_value_pair: Table(statistics.series_by_pair),
    }
}
