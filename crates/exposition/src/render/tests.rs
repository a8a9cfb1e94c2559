use proptest::prelude::*;

use super::*;
use crate::{Entry, Format, Parser};

#[test]
fn samples_are_written_as_prometheus_writes_them() {
    #[track_caller]
    fn check(pairs: &[(&str, &str)], value: f64, timestamp: Option<i64>, expect: &str) {
        let mut out = String::new();
        let labels = pairs.iter().copied().collect();
        sample(&mut out, &labels, value, timestamp.map(Timestamp::from_millis));
        assert_eq!(out, expect);
    }
    check(&[("__name__", "up")], 1.0, None, "up 1\n");
    check(
        &[("__name__", "up"), ("b", "x"), ("a", "y")],
        1e6,
        Some(5),
        "up{a=\"y\",b=\"x\"} 1e+06 5\n",
    );
    check(&[("__name__", "up"), ("a", "\"\\\n")], f64::NAN, None, "up{a=\"\\\"\\\\\\n\"} NaN\n");
    check(&[("__name__", "my.metric")], 0.5, Some(-1), "{\"my.metric\"} 0.5 -1\n");
    check(&[("__name__", "a.b"), ("c.d", "e")], 0.5, None, "{\"a.b\",\"c.d\"=\"e\"} 0.5\n");
    check(&[("A", "a"), ("__name__", "up")], 1.0, None, "up{A=\"a\"} 1\n");
}

#[test]
fn metadata_is_written_in_the_words_of_the_format() {
    let mut out = String::new();
    help(&mut out, "up", "a \"b\" \\ \n c");
    metric_type(&mut out, "up", MetricType::Unknown);
    metric_type(&mut out, "my.metric", MetricType::Info);
    assert_eq!(
        out,
        "# HELP up a \"b\" \\\\ \\n c\n# TYPE up untyped\n# TYPE \"my.metric\" gauge\n"
    );
}

#[test]
fn further_labels_follow_the_series_own_and_may_be_empty() {
    #[track_caller]
    fn check(pairs: &[(&str, &str)], further: &[(&str, &str)], expect: &str) {
        let labels: Labels = pairs.iter().copied().collect();
        let mut out = String::new();
        sample_with(&mut out, &labels, further.iter().copied(), 1.0, None);
        assert_eq!(out, expect);
    }
    let further = [("instance", ""), ("a.b", "c")];
    check(&[("__name__", "up")], &further, "up{instance=\"\",\"a.b\"=\"c\"} 1\n");
    check(&[("__name__", "up"), ("z", "1")], &further[..1], "up{z=\"1\",instance=\"\"} 1\n");
    check(&[("__name__", "my.up")], &further[..1], "{\"my.up\",instance=\"\"} 1\n");
}

proptest! {
    /// EXPO-3
    #[test]
    fn what_is_rendered_parses_back(
        name in "[a-z:.é\"\\\\\n ]{1,8}",
        pairs in proptest::collection::btree_map("[a-z.é\"\\\\\n{}= ]{1,5}", ".{0,3}[\"\\\\\n{}=,#n]{1,4}", 0..4),
        value in any::<f64>(),
        timestamp in proptest::option::of(any::<i64>()),
        text in "[a\"\\\\\nn ]{0,9}",
    ) {
        let mut labels: std::collections::BTreeMap<String, String> = pairs;
        labels.insert("__name__".into(), name.clone());
        let labels: Labels = labels.into_iter().collect();
        let timestamp = timestamp.map(Timestamp::from_millis);
        let mut out = String::new();
        help(&mut out, &name, &text);
        metric_type(&mut out, &name, MetricType::Gauge);
        sample(&mut out, &labels, value, timestamp);

        let mut parser = Parser::new(out.as_bytes(), Format::Text).unwrap();
        let help = parser.next().unwrap().unwrap();
        prop_assert_eq!(help, Entry::Help { family: name.as_str().into(), help: text.into() });
        let metric_type = parser.next().unwrap().unwrap();
        let gauge = MetricType::Gauge;
        prop_assert_eq!(metric_type, Entry::Type { family: name.into(), metric_type: gauge });
        let Some(Ok(Entry::Sample(sample))) = parser.next() else { panic!("a sample: {out}") };
        prop_assert_eq!(parser.labels(&sample).unwrap().build(), labels);
        prop_assert_eq!(sample.timestamp, timestamp);
        prop_assert!(sample.value == value || (sample.value.is_nan() && value.is_nan()));
        prop_assert!(parser.next().is_none());
    }
}
