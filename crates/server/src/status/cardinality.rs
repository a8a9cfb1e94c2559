//! Which names and values make up the series: the tables of `/api/v1/status/tsdb`.

use std::collections::{HashMap, HashSet};

use api::{HeadStats, Table, TsdbStatus};
use model::TimeRange;
use storage::{Query, QueryError, Selection};

/// Counts over every series; the `limit` largest entries of each table.
pub(super) fn tables(query: &dyn Query, limit: usize) -> Result<TsdbStatus, QueryError> {
    let set = query.select(&Selection::new(TimeRange::ALL, Vec::new()))?;
    let mut by_metric: HashMap<String, u64> = HashMap::new();
    let mut by_pair: HashMap<String, u64> = HashMap::new();
    let mut values: HashMap<String, HashSet<String>> = HashMap::new();
    for index in 0..set.len() {
        let labels = set.labels(index);
        *by_metric.entry(labels.metric_name().to_owned()).or_default() += 1;
        for (name, value) in &labels {
            *by_pair.entry(format!("{name}={value}")).or_default() += 1;
            values.entry(name.to_owned()).or_default().insert(value.to_owned());
        }
    }
    let bytes = |values: &HashSet<String>| values.iter().map(|v| v.len() as u64).sum();
    Ok(TsdbStatus {
        head_stats: HeadStats { num_label_pairs: by_pair.len() as u64, ..HeadStats::default() },
        memory_in_bytes_by_label_name: largest(
            values.iter().map(|(name, values)| (name.clone(), bytes(values))),
            limit,
        ),
        label_value_count_by_label_name: largest(
            values.iter().map(|(name, values)| (name.clone(), values.len() as u64)),
            limit,
        ),
        series_count_by_metric_name: largest(by_metric, limit),
        series_count_by_label_value_pair: largest(by_pair, limit),
    })
}

fn largest(counts: impl IntoIterator<Item = (String, u64)>, limit: usize) -> Table {
    let mut rows: Vec<(String, u64)> = counts.into_iter().collect();
    rows.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    rows.truncate(limit);
    Table(rows)
}
