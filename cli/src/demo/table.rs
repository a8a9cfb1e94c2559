//! The table of the fleet: a row for each continent, below it its regions, and the total.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use model::{Labels, Sample};

use super::numbers::{Got, Numbers};
use super::truth::Level;

/// Alerts that fire, by where.
#[derive(Debug, Default)]
pub(crate) struct Firing(Vec<Labels>);

pub(crate) const FIRING: &str = r#"ALERTS{alertstate="firing"}"#;

impl Firing {
    fn count(&self, level: Level, place: &str) -> usize {
        let label = level.to_string();
        self.0.iter().filter(|labels| labels.value(&label) == place).count()
    }
}

impl FromIterator<(Labels, Sample)> for Firing {
    fn from_iter<I: IntoIterator<Item = (Labels, Sample)>>(vector: I) -> Self {
        Self(vector.into_iter().map(|(labels, _)| labels).collect())
    }
}

/// The table that `numbers` and `firing` of one central give.
pub(crate) fn render(numbers: &Numbers, firing: &Firing) -> String {
    let mut text = format!(
        "  {:<20}{:>9}{:>12}{:>7}{:>7}{:>9}{:>9}{:>10}{:>9}{:>11}{:>8}\n",
        "",
        "clusters",
        "targets up",
        "nodes",
        "pods",
        "CPU",
        "API/s",
        "etcd GB",
        "series",
        "samples/s",
        "alerts"
    );
    for (continent, regions) in continents(numbers) {
        text += &row(&continent, Level::Continent, &continent, numbers, firing);
        for region in regions {
            text += &row(&format!("  {region}"), Level::Region, &region, numbers, firing);
        }
    }
    text + &row("global", Level::Global, "", numbers, firing)
}

/// The regions of each continent, as far as numbers of them have arrived.
fn continents(numbers: &Numbers) -> BTreeMap<String, BTreeSet<String>> {
    let mut continents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (labels, _) in numbers.series("region:up:count") {
        let regions = continents.entry(labels.value("continent").to_owned()).or_default();
        regions.insert(labels.value("region").to_owned());
    }
    continents
}

fn row(title: &str, level: Level, place: &str, numbers: &Numbers, firing: &Firing) -> String {
    let cell = |series: &str, scale: f64, decimals: usize| {
        match numbers.get(&format!("{level}:{series}"), level, place) {
            Got::One(value) => format!("{:.decimals$}", value / scale),
            // Absent is not zero.
            Got::Nothing => "–".to_owned(),
            Got::Several(_) => "!".to_owned(),
        }
    };
    let of = |part: &str, whole: &str| format!("{}/{}", cell(part, 1.0, 0), cell(whole, 1.0, 0));
    let alerts = match level {
        Level::Global => firing.0.len(),
        _ => firing.count(level, place),
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "  {title:<20}{:>9}{:>12}{:>7}{:>7}{:>9}{:>9}{:>10}{:>9}{:>11}{alerts:>8}",
        of("clusters_reporting:count", "clusters_expected:count"),
        of("up:sum", "up:count"),
        cell("kube_node_info:count", 1.0, 0),
        cell("kube_pod_info:count", 1.0, 0),
        cell("node_cpu_seconds_busy:rate2m", 1.0, 2),
        cell("apiserver_request:rate2m", 1.0, 1),
        cell("etcd_mvcc_db_total_size_in_bytes:sum", 1e9, 2),
        cell("scrape_samples_post_metric_relabeling:sum", 1.0, 0),
        cell("scrape_samples_post_metric_relabeling:rate2m", 1.0, 0),
    );
    text
}

#[cfg(test)]
mod tests {
    use model::{METRIC_NAME, Timestamp};

    use super::*;

    /// Name, labels, value.
    type Series<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

    fn vector(series: &[Series]) -> Vec<(Labels, Sample)> {
        let one = |(name, labels, value): &Series| {
            let labels = labels.iter().copied().chain([(METRIC_NAME, *name)]).collect();
            (labels, Sample { timestamp: Timestamp::EPOCH, value: *value })
        };
        series.iter().map(one).collect()
    }

    #[test]
    fn what_is_absent_shows_as_a_dash_and_never_as_zero() {
        let beijing = [("continent", "china"), ("region", "cn-beijing")];
        let numbers: Numbers = vector(&[
            ("region:up:count", &beijing, 9.0),
            ("region:up:sum", &beijing, 0.0),
            ("continent:up:count", &[("continent", "china")], 12.0),
        ])
        .into_iter()
        .collect();
        let firing: Firing = vector(&[("ALERTS", &beijing, 1.0)]).into_iter().collect();
        let table = render(&numbers, &firing);
        let cells: Vec<Vec<&str>> =
            table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(cells[0][..3], ["china", "–/–", "–/12"]);
        assert_eq!(cells[1][..3], ["cn-beijing", "–/–", "0/9"]);
        assert_eq!(cells[1].last(), Some(&"1"));
        assert_eq!(cells[2][..3], ["global", "–/–", "–/–"]);
        assert_eq!(cells.len(), 3);
    }
}
