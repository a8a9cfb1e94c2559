//! The body of `POST /api/v2/alerts`.

use jiff::Timestamp as Instant;
use model::{Alert, Labels, Timestamp};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

/// Alerts as the JSON array that Alertmanager's API v2 takes.
pub(crate) fn encode(alerts: &[Alert]) -> Vec<u8> {
    serde_json::to_vec(&Alerts(alerts)).expect("strings and maps of strings always encode")
}

struct Alerts<'a>(&'a [Alert]);
struct OneAlert<'a>(&'a Alert);
struct Pairs<'a>(&'a Labels);
struct Rfc3339(Timestamp);

impl Serialize for Alerts<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for alert in self.0 {
            list.serialize_element(&OneAlert(alert))?;
        }
        list.end()
    }
}

impl Serialize for OneAlert<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut alert = to.serialize_struct("Alert", 5)?;
        alert.serialize_field("annotations", &Pairs(&self.0.annotations))?;
        alert.serialize_field("endsAt", &Rfc3339(self.0.ends_at))?;
        alert.serialize_field("startsAt", &Rfc3339(self.0.starts_at))?;
        alert.serialize_field("generatorURL", &self.0.generator_url)?;
        alert.serialize_field("labels", &Pairs(&self.0.labels))?;
        alert.end()
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let instant = Instant::from_millisecond(self.0.as_millis());
        let bound = if self.0 < Timestamp::EPOCH { Instant::MIN } else { Instant::MAX };
        to.collect_str(&instant.unwrap_or(bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_written_as_the_api_wants_them() {
        let alert = Alert {
            labels: [("alertname", "Down"), ("job", "a\"b")].into_iter().collect(),
            annotations: [("summary", "gone")].into_iter().collect(),
            starts_at: Timestamp::from_millis(1_435_065_584_128),
            ends_at: Timestamp::from_millis(1_435_065_824_000),
            generator_url: "http://central/graph?g0.expr=up&g0.tab=1".to_owned(),
        };
        let expect = r#"[{"annotations":{"summary":"gone"},"endsAt":"2015-06-23T13:23:44Z","#
            .to_owned()
            + r#""startsAt":"2015-06-23T13:19:44.128Z","#
            + r#""generatorURL":"http://central/graph?g0.expr=up&g0.tab=1","#
            + r#""labels":{"alertname":"Down","job":"a\"b"}}]"#;
        assert_eq!(String::from_utf8(encode(&[alert])).unwrap(), expect);
        assert_eq!(encode(&[]), b"[]");
    }
}
