//! What one central says about the fleet: every recorded series, in one consistent answer.

use std::collections::BTreeMap;

use model::{Labels, Sample};

use super::topology::MACHINE_CLUSTER;
use super::truth::{ClusterTruth, Level, QUANTITIES, Quantity};
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
    /// With its tolerance, relative; nothing where there should be no such series.
    pub(crate) expected: Option<(f64, f64)>,
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
        Ok(central.vector(EVERY_LEVEL).await?.into_iter().collect())
    }

    /// The number of one place: `place` is the value of the level's label.
    pub(crate) fn get(&self, level: Level, series: &str, place: &str) -> Got {
        let label = level.to_string();
        let all = self.0.get(&format!("{level}:{series}")).map_or(&[][..], Vec::as_slice);
        let found: Vec<f64> = all
            .iter()
            .filter(|(labels, _)| labels.value(&label) == place)
            .map(|(_, value)| *value)
            .collect();
        match found[..] {
            [] => Got::Nothing,
            [one] => Got::One(one),
            _ => Got::Several(found.len()),
        }
    }

    /// The labels of every series of this name.
    pub(crate) fn labels(&self, name: &str) -> impl Iterator<Item = &Labels> {
        self.0.get(name).into_iter().flatten().map(|(labels, _)| labels)
    }

    /// Everything that does not agree with the truth, at every level.
    pub(crate) fn disagreements(&self, truth: &[ClusterTruth]) -> Vec<Disagreement> {
        let mut found = Vec::new();
        for quantity in &QUANTITIES {
            for level in Level::ALL {
                found.extend(self.compare(quantity, level, truth));
            }
        }
        found
    }

    fn compare(
        &self,
        quantity: &Quantity,
        level: Level,
        truth: &[ClusterTruth],
    ) -> Vec<Disagreement> {
        let mut disagreements = Vec::new();
        let groups = level.group(truth);
        for (place, clusters) in &groups {
            let machine = self.of_this_machine(quantity, level, place);
            let expected = quantity.sum(clusters.iter().copied()) + machine;
            let got = self.get(level, quantity.series, place);
            if !matches!(got, Got::One(got) if quantity.agrees(expected, got)) {
                let expected = Some((expected, quantity.tolerance()));
                disagreements.push(Disagreement {
                    series: name(level, quantity, place),
                    expected,
                    got,
                });
            }
        }
        disagreements.extend(self.unexpected(quantity, level, &groups));
        disagreements
    }

    /// What this machine's own node_exporter and etcd add to a place above them. The simulator knows
    /// nothing of them, so here central has to be believed.
    fn of_this_machine(&self, quantity: &Quantity, level: Level, place: &str) -> f64 {
        if level == Level::Cluster {
            return 0.0;
        }
        let clusters = self.0.get(&format!("cluster:{}", quantity.series));
        let machine = clusters.into_iter().flatten().filter(|(labels, _)| {
            labels.value("cluster") == MACHINE_CLUSTER && labels.value(&level.to_string()) == place
        });
        machine.map(|(_, value)| value).sum()
    }

    /// Series of places that do not exist.
    fn unexpected<T>(
        &self,
        quantity: &Quantity,
        level: Level,
        groups: &BTreeMap<&str, T>,
    ) -> Vec<Disagreement> {
        let series = self.0.get(&format!("{level}:{}", quantity.series)).into_iter().flatten();
        let strangers = series.filter_map(|(labels, value)| {
            let place = labels.value(&level.to_string());
            let known = groups.contains_key(place) || place == MACHINE_CLUSTER;
            let (series, got) = (name(level, quantity, place), Got::One(*value));
            (!known).then_some(Disagreement { series, expected: None, got })
        });
        strangers.collect()
    }
}

impl FromIterator<(Labels, Sample)> for Numbers {
    fn from_iter<I: IntoIterator<Item = (Labels, Sample)>>(vector: I) -> Self {
        let mut numbers: BTreeMap<String, Vec<(Labels, f64)>> = BTreeMap::new();
        for (labels, sample) in vector {
            let name = labels.metric_name().to_owned();
            numbers.entry(name).or_default().push((labels, sample.value));
        }
        Self(numbers)
    }
}

fn name(level: Level, quantity: &Quantity, place: &str) -> String {
    match level {
        Level::Global => format!("global:{}", quantity.series),
        _ => format!("{level}:{}{{{level}={place:?}}}", quantity.series),
    }
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: expected ", self.series)?;
        match self.expected {
            None => f.write_str("nothing")?,
            Some((value, 0.0)) => write!(f, "{value}")?,
            Some((value, tolerance)) => write!(f, "{value:.3} ± {:.1} %", tolerance * 100.0)?,
        }
        match self.got {
            Got::Nothing => f.write_str(", got nothing"),
            Got::One(value) => write!(f, ", got {value}"),
            Got::Several(count) => write!(f, ", got {count} series"),
        }
    }
}
