//! The table of the fleet: a row for each continent, below it its regions, and the total.

use std::collections::{BTreeMap, BTreeSet};

use super::numbers::{Got, Numbers};
use super::truth::Level;

/// The table that the numbers of one central give.
pub(crate) fn render(numbers: &Numbers) -> String {
    let mut text = line([
        "",
        "clusters",
        "targets up",
        "series",
        "samples/s",
        "alerts",
        "nodes",
        "pods",
        "CPU",
        "API/s",
        "etcd GB",
    ]);
    for (continent, regions) in continents(numbers) {
        text += &row(&continent, Level::Continent, &continent, numbers);
        for region in regions {
            text += &row(&format!("  {region}"), Level::Region, &region, numbers);
        }
    }
    text + &row("global", Level::Global, "", numbers)
}

/// The regions of each continent, as far as numbers of them have arrived.
fn continents(numbers: &Numbers) -> BTreeMap<String, BTreeSet<String>> {
    let mut continents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (labels, _) in numbers.series("region:fleet.clusters") {
        let regions = continents.entry(labels.value("continent").to_owned()).or_default();
        regions.insert(labels.value("region").to_owned());
    }
    continents
}

fn row(title: &str, level: Level, place: &str, numbers: &Numbers) -> String {
    let cell = |series: &str, scale: f64, decimals: usize| {
        match numbers.get(&format!("{level}:{series}"), level, place) {
            Got::One(value) => format!("{:.decimals$}", value / scale),
            // Absent is not zero.
            Got::Nothing => "–".to_owned(),
            Got::Several(_) => "!".to_owned(),
        }
    };
    let of = |part: &str, whole: &str| format!("{}/{}", cell(part, 1.0, 0), cell(whole, 1.0, 0));
    line([
        title,
        &of("fleet.reporting", "fleet.clusters"),
        &of("fleet.targets_up", "fleet.targets"),
        &cell("fleet.series", 1.0, 0),
        &cell("fleet.samples_per_second", 1.0, 0),
        &cell("fleet.firing_alerts", 1.0, 0),
        &cell("kube_node_info:count", 1.0, 0),
        &cell("kube_pod_info:count", 1.0, 0),
        &cell("node_cpu_seconds_busy:rate2m", 1.0, 2),
        &cell("apiserver_request:rate2m", 1.0, 1),
        &cell("etcd_mvcc_db_total_size_in_bytes:sum", 1e9, 2),
    ])
}

/// What a row is about, and its figures.
fn line([title, cells @ ..]: [&str; 11]) -> String {
    let cells: String = cells.iter().map(|cell| format!("{cell:>11}")).collect();
    format!("  {title:<16}{cells}\n")
}

#[cfg(test)]
mod tests {
    use model::METRIC_NAME;

    use super::*;

    #[test]
    fn what_is_absent_shows_as_a_dash_and_never_as_zero() {
        let beijing: &[(&str, &str)] = &[("continent", "china"), ("region", "cn-beijing")];
        let series = |name: &str, place: &[(&str, &str)], value: f64| {
            (place.iter().copied().chain([(METRIC_NAME, name)]).collect(), value)
        };
        let numbers: Numbers = [
            series("region:fleet.clusters", beijing, 2.0),
            series("region:fleet.reporting", beijing, 0.0),
            series("region:fleet.firing_alerts", beijing, 1.0),
            series("continent:fleet.targets", &beijing[..1], 12.0),
        ]
        .into_iter()
        .collect();
        let table = render(&numbers);
        let cells: Vec<Vec<&str>> =
            table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(cells[0][..3], ["china", "–/–", "–/12"]);
        assert_eq!(cells[1][..3], ["cn-beijing", "0/2", "–/–"]);
        assert_eq!(cells[1][5], "1");
        assert_eq!(cells[2][..3], ["global", "–/–", "–/–"]);
        assert_eq!(cells.len(), 3);
    }
}
