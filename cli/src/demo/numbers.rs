//! What one central says about the fleet: every recorded series in one consistent answer, and its
//! `/api/v1/fleet`.

use std::collections::BTreeMap;
use std::fmt;

use model::Labels;

use super::fleet;
use super::topology::MACHINE_CLUSTER;
use super::truth::{ClusterTruth, Expected, Level, QUANTITIES, Quantity, Truth};
use crate::client::Client;

const EVERY_LEVEL: &str = r#"{__name__=~"(cluster|metacluster|region|continent|global):.+"}"#;

/// The recorded series, by name.
#[derive(Debug, Default)]
pub(crate) struct Numbers(BTreeMap<String, Vec<(Labels, f64)>>);

/// A number that is not what it should be.
#[derive(Debug, PartialEq)]
pub(crate) struct Disagreement {
    /// `region:up:sum{region="cn-beijing"}`
    pub(crate) series: String,
    /// Nothing where there should be no such series.
    pub(crate) expected: Option<Expected>,
    pub(crate) got: Got,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Got {
    Nothing,
    One(f64),
    /// The number is not one series: a sum over it would count twice.
    Several(usize),
}

impl Numbers {
    pub(crate) async fn ask(central: &Client) -> anyhow::Result<Self> {
        let recorded = central.vector(EVERY_LEVEL).await?;
        let recorded = recorded.into_iter().map(|(labels, sample)| (labels, sample.value));
        let fleet = fleet::as_series(central.get("fleet", &[]).await?.data)?;
        Ok(recorded.chain(fleet).collect())
    }

    /// The number of one place: `place` is the value of the level's label.
    pub(crate) fn get(&self, series: &str, level: Level, place: &str) -> Got {
        let label = level.to_string();
        let found: Vec<f64> = self
            .series(series)
            .filter(|(labels, _)| labels.value(&label) == place)
            .map(|(_, value)| *value)
            .collect();
        match found[..] {
            [] => Got::Nothing,
            [one] => Got::One(one),
            _ => Got::Several(found.len()),
        }
    }

    /// Every series of this name, with its value.
    pub(crate) fn series(&self, name: &str) -> impl Iterator<Item = &(Labels, f64)> {
        self.0.get(name).into_iter().flatten()
    }

    /// Everything that does not agree with the truth, at every level.
    pub(crate) fn disagreements(&self, truth: &Truth) -> Vec<Disagreement> {
        let mut found = Vec::new();
        for quantity in &QUANTITIES {
            for level in Level::ALL {
                if let Some(series) = quantity.series(level) {
                    found.extend(self.missing_or_wrong(&series, quantity, level, truth));
                    found.extend(self.unexpected(&series, level, truth));
                }
            }
        }
        found
    }

    fn missing_or_wrong(
        &self,
        series: &str,
        quantity: &Quantity,
        level: Level,
        truth: &Truth,
    ) -> Vec<Disagreement> {
        let compare = |(place, clusters): (&str, Vec<&ClusterTruth>)| {
            let machine = self.of_this_machine(quantity, level, place);
            let expected = quantity.expected(truth, &clusters, machine);
            let got = self.get(series, level, place);
            let agrees = matches!(got, Got::One(got) if expected.agrees(got));
            let series = full_name(series, level, place);
            (!agrees).then_some(Disagreement { series, expected: Some(expected), got })
        };
        truth.group(level).into_iter().filter_map(compare).collect()
    }

    /// What this machine's own node_exporter and etcd add to a place above them. The simulator knows
    /// nothing of them, so here central has to be believed.
    fn of_this_machine(&self, quantity: &Quantity, level: Level, place: &str) -> f64 {
        if level == Level::Cluster {
            return 0.0;
        }
        let counts_clusters = quantity.series(Level::Cluster).is_none();
        let series = quantity.series(Level::Cluster).unwrap_or("cluster:up:count".to_owned());
        let machine = self.series(&series).filter(|(labels, _)| {
            labels.value("cluster") == MACHINE_CLUSTER && labels.value(&level.to_string()) == place
        });
        machine.map(|(_, value)| if counts_clusters { 1.0 } else { *value }).sum()
    }

    /// Series of places that do not exist.
    fn unexpected(&self, series: &str, level: Level, truth: &Truth) -> Vec<Disagreement> {
        let places = truth.group(level);
        let strangers = self.series(series).filter_map(|(labels, value)| {
            let place = labels.value(&level.to_string());
            let known = places.contains_key(place) || place == MACHINE_CLUSTER;
            let (series, got) = (full_name(series, level, place), Got::One(*value));
            (!known).then_some(Disagreement { series, expected: None, got })
        });
        strangers.collect()
    }
}

impl FromIterator<(Labels, f64)> for Numbers {
    fn from_iter<I: IntoIterator<Item = (Labels, f64)>>(series: I) -> Self {
        let mut numbers: BTreeMap<String, Vec<(Labels, f64)>> = BTreeMap::new();
        for (labels, value) in series {
            numbers.entry(labels.metric_name().to_owned()).or_default().push((labels, value));
        }
        Self(numbers)
    }
}

fn full_name(series: &str, level: Level, place: &str) -> String {
    match level {
        Level::Global => series.to_owned(),
        _ => format!("{series}{{{level}={place:?}}}"),
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected {
            None => write!(f, "{}: expected no such series", self.series)?,
            Some(Expected { value, tolerance }) => {
                write!(f, "{}: expected {value:.3} ± {tolerance:.3}", self.series)?;
            }
        }
        match self.got {
            Got::Nothing => f.write_str(", got nothing"),
            Got::One(value) => write!(f, ", got {value}"),
            Got::Several(count) => write!(f, ", got {count} series"),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::METRIC_NAME;

    use super::*;

    /// Two clusters of one meta-cluster; the first was restarted just now.
    const TRUTH: &str = r#"{"at": 1000000, "clusters": [
        {"continent": "asia", "region": "r", "metacluster": "m", "cluster": "m",
         "nodes": 3, "pods": 9, "cpu_cores_used": 2.0, "apiserver_requests_per_second": 100.0,
         "etcd_db_size_bytes": 1000, "targets": 7, "targets_up": 6, "last_restart": 999000},
        {"continent": "asia", "region": "r", "metacluster": "m", "cluster": "t",
         "nodes": 2, "pods": 5, "cpu_cores_used": 1.0, "apiserver_requests_per_second": 50.0,
         "etcd_db_size_bytes": 500, "targets": 4, "targets_up": 4, "last_restart": 0}]}"#;

    fn series(name: &str, place: &[(&str, &str)], value: f64) -> (Labels, f64) {
        let labels = place.iter().copied().chain([(METRIC_NAME, name)]).collect();
        (labels, value)
    }

    /// The disagreements about one series, of all that there are.
    #[track_caller]
    fn check(name: &str, got: &[(Labels, f64)], expect: &[&str]) {
        let truth: Truth = serde_json::from_str(TRUTH).unwrap();
        let numbers: Numbers = got.iter().cloned().collect();
        let all = numbers.disagreements(&truth);
        let mut about: Vec<String> = all.iter().map(ToString::to_string).collect();
        about.retain(|one| one.starts_with(name));
        assert_eq!(about, expect);
    }

    #[test]
    fn what_is_missing_wrong_doubled_or_unheard_of_disagrees() {
        let region = |value| series("region:up:sum", &[("region", "r")], value);
        check("region:up:sum", &[region(10.0)], &[]);
        check(
            "region:up:sum",
            &[region(9.0)],
            &[r#"region:up:sum{region="r"}: expected 10.000 ± 0.000, got 9"#],
        );
        check(
            "region:up:sum",
            &[region(10.0), series("region:up:sum", &[("region", "r"), ("job", "a")], 10.0)],
            &[r#"region:up:sum{region="r"}: expected 10.000 ± 0.000, got 2 series"#],
        );
        check(
            "region:up:sum",
            &[series("region:up:sum", &[("region", "atlantis")], 1.0)],
            &[
                r#"region:up:sum{region="r"}: expected 10.000 ± 0.000, got nothing"#,
                r#"region:up:sum{region="atlantis"}: expected no such series, got 1"#,
            ],
        );
    }

    #[test]
    fn a_rate_may_miss_what_a_restarted_target_counted_last() {
        let name = "cluster:apiserver_request:rate2m";
        let rate = |cluster, value| series(name, &[("cluster", cluster)], value);
        check(name, &[rate("m", 92.0), rate("t", 50.5)], &[]);
        let [m, t] = [
            r#"cluster:apiserver_request:rate2m{cluster="m"}: expected 100.000 ± 10.152, got 89"#,
            r#"cluster:apiserver_request:rate2m{cluster="t"}: expected 50.000 ± 0.909, got 46"#,
        ];
        check(name, &[rate("m", 89.0), rate("t", 46.0)], &[m, t]);
    }

    #[test]
    fn what_this_machine_adds_is_taken_from_central() {
        let place = [("region", "r"), ("cluster", MACHINE_CLUSTER)];
        let machine = [
            series("cluster:up:count", &place, 2.0),
            series("cluster:node_cpu_seconds_busy:rate2m", &place, 0.5),
        ];
        let with = |name, value| {
            let region = series(name, &[("region", "r")], value);
            machine.iter().cloned().chain([region]).collect::<Vec<_>>()
        };
        for (name, value) in [
            ("region:up:count", 13.0),
            ("region:node_cpu_seconds_busy:rate2m", 3.5),
            ("region:clusters_expected:count", 3.0),
        ] {
            check(name, &with(name, value), &[]);
        }
    }
}
