use proptest::prelude::*;

use super::*;
use crate::GoFloat;

/// Everything a body says, one entry a line, an error last.
fn read(body: &str, format: Format) -> Vec<String> {
    read_bytes(body.as_bytes(), format)
}

fn read_bytes(body: &[u8], format: Format) -> Vec<String> {
    let mut parser = match Parser::new(body, format) {
        Ok(parser) => parser,
        Err(error) => return vec![error.to_string()],
    };
    let mut lines = Vec::new();
    while let Some(entry) = parser.next() {
        lines.push(match entry {
            Ok(Entry::Sample(sample)) => match parser.labels(&sample) {
                Ok(labels) => {
                    let time = sample.timestamp.map_or(String::new(), |t| format!(" @{t}"));
                    format!("{} {}{time}", labels.build(), GoFloat(sample.value))
                }
                Err(error) => {
                    lines.push(error.to_string());
                    break;
                }
            },
            Ok(Entry::Type { family, metric_type }) => format!("type {family:?} {metric_type}"),
            Ok(Entry::Help { family, help }) => format!("help {family:?} {help:?}"),
            Ok(Entry::Unit { family, unit }) => format!("unit {family:?} {unit:?}"),
            Err(error) => error.to_string(),
        });
    }
    lines
}

#[track_caller]
fn check_text(body: &str, expect: &[&str]) {
    assert_eq!(read(body, Format::Text), expect, "{body:?}");
}

#[track_caller]
fn check_open_metrics(body: &str, expect: &[&str]) {
    assert_eq!(read(body, Format::OpenMetrics), expect, "{body:?}");
}

#[test]
fn samples_of_the_text_format_are_read() {
    check_text("", &[]);
    check_text("\n \t\n", &[]);
    check_text("up 1", &["up 1"]);
    check_text("up 1\n", &["up 1"]);
    check_text("up{} 1\n", &["up 1"]);
    check_text("a:b_c9 -1.5e3\n", &["a:b_c9 -1500"]);
    check_text("a{b=\"1\",c=\"2\",} 3 \n", &[r#"a{b="1", c="2"} 3"#]);
    check_text("\ta { b = \"1\" , c=\"2\" }\t3\t-4 \n", &[r#"a{b="1", c="2"} 3 @-4"#]);
    check_text("a{b=\"1\"}2 3\n", &[r#"a{b="1"} 2 @3"#]);
    check_text("a{b=\"1\" c=\"2\"} 3\n", &[r#"a{b="1", c="2"} 3"#]); // as Prometheus has it
    check_text("a NaN\nb +Inf 1\nc -inf\n", &["a NaN", "b +Inf @1", "c -Inf"]);
    check_text("a{b=\"\"} 1\n", &["a 1"]); // an empty value means: label absent
    check_text(
        "a{b=\"x\\\"y\\\\z\\n\\d},{\"} 1\n",
        &[r#"a{b="x\"y\\z\n\\d},{"} 1"#], // \d is no escape
    );
    check_text("a{b=\"x\ny\"} 1\nc 2\n", &[r#"a{b="x\ny"} 1"#, "c 2"]);
    check_text("a{b=\"é😀\"} 1\n", &[r#"a{b="é😀"} 1"#]);
    check_text("{\"my.metric\",\"a.b\"=\"c\"} 1\n", &[r#"{"my.metric", "a.b"="c"} 1"#]);
    check_text("{a=\"b\",\"up\"} 1\n", &[r#"up{a="b"} 1"#]);
}

#[test]
fn metadata_of_the_text_format_is_read_and_other_comments_are_not() {
    check_text("# HELP up Whether it is up.\n", &[r#"help "up" "Whether it is up.""#]);
    check_text("# HELP up a\\\\b\\n\\\"c\n", &[r#"help "up" "a\\b\n\\\"c""#]);
    check_text("# HELP up  two\n# HELP up\n", &[r#"help "up" " two""#, r#"help "up" """#]);
    check_text("#\tTYPE\tup\tgauge\n", &[r#"type "up" gauge"#]);
    check_text("# TYPE up untyped\n", &[r#"type "up" unknown"#]);
    check_text("# TYPE \"my.metric\" counter\n", &[r#"type "my.metric" counter"#]);
    check_text("#\n# \n#HELP up x\n# HELPFUL up x\n# HELP\n# EOF\n## TYPE a b\nup 1\n", &["up 1"]);
}

#[test]
fn open_metrics_are_read() {
    check_open_metrics("# EOF", &[]);
    check_open_metrics("# EOF\n", &[]);
    check_open_metrics(
        "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds x\\\"y\n\
         a_seconds_total{b=\"c\"} 1 1.5\na_seconds_created{b=\"c\"} 1e9\n# EOF\n",
        &[
            r#"type "a_seconds" counter"#,
            r#"unit "a_seconds" "seconds""#,
            r#"help "a_seconds" "x\"y""#,
            r#"a_seconds_total{b="c"} 1 @1500"#,
            r#"a_seconds_created{b="c"} 1e+09"#,
        ],
    );
    check_open_metrics("a{b=\" # {\"} 1 # {id=\"x\"} 2\n# EOF", &[r#"a{b=" # {"} 1"#]);
    check_open_metrics("a_bucket 1 2 # {id=\"x}\",z=\"\"} 2 3.25\n# EOF", &["a_bucket 1 @2000"]);
    check_open_metrics("a 1 # {} 2\n# EOF", &["a 1"]);
    check_open_metrics("{\"my.metric\"} 1\n# EOF", &[r#"{"my.metric"} 1"#]);
    check_open_metrics("# UNIT a \n# EOF", &[r#"unit "a" """#]);
}

#[test]
fn bounds_and_quantiles_are_written_as_floats() {
    check_text(
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_bucket{le=\"x\"} 1\n\
         # TYPE s summary\ns{quantile=\"1\"} 1\ns{le=\"1\"} 1\n# TYPE g gauge\ng{le=\"1\"} 1\n",
        &[
            r#"type "h" histogram"#,
            r#"h_bucket{le="1.0"} 1"#,
            r#"h_bucket{le="+Inf"} 1"#,
            r#"h_bucket{le="x"} 1"#,
            r#"type "s" summary"#,
            r#"s{quantile="1.0"} 1"#,
            r#"s{le="1"} 1"#,
            r#"type "g" gauge"#,
            r#"g{le="1"} 1"#,
        ],
    );
}

#[test]
fn malformed_text_is_an_error_that_names_the_line_and_what_was_expected() {
    #[track_caller]
    fn check(line: &str, expect: &str) {
        // The error is on the second line, and nothing after it is read.
        let lines = read(&format!("up 1\n{line}\nlate 1\n"), Format::Text);
        assert_eq!(lines, ["up 1", &format!("line 2: {expect}")], "{line:?}");
    }
    check("-a 1", r#"expected a metric name, got "-a 1""#);
    check("1a 1", r#"expected a metric name, got "1a 1""#);
    check("é 1", r#"expected a metric name, got "é 1""#);
    check("a", "expected a value, got the end of the line");
    check("a{} ", "expected a value, got the end of the line");
    check("a x", r#"invalid value "x""#);
    check("a 1e999", r#"invalid value "1e999""#);
    check("a 0x1p3", r#"invalid value "0x1p3""#);
    check("a 1\r", r#"invalid value "1\r""#);
    check("a 1 x", r#"invalid timestamp "x""#);
    check("a 1 1.5", r#"invalid timestamp "1.5""#);
    check("a 1 99999999999999999999", r#"invalid timestamp "99999999999999999999""#);
    check("a 1 2 3", r#"expected the end of the line, got "3""#);
    check("a 1 # {x=\"y\"} 1", r##"invalid timestamp "#""##);
    check("a{", "expected a label name, got the end of the line");
    check("a{1b=\"c\"} 1", r#"expected a label name, got "1b=\"c\"} 1""#);
    check("a{b:c=\"d\"} 1", r#"expected '=', got ":c=\"d\"} 1""#);
    check("a{,} 1", r#"expected a label name, got ",} 1""#);
    check("a{b=\"c\",,} 1", r#"expected a label name, got ",} 1""#);
    check("a{b} 1", r#"expected '=', got "} 1""#);
    check("a{b=c} 1", r#"expected a label value in quotes, got "c} 1""#);
    check("a{b=\"c} 1", r#"expected a closing quote, got "\"c} 1""#);
    check("a{b=\"c\"] 1", r#"expected a label name, got "] 1""#);
    check("a{\"\"=\"c\"} 1", r#"expected a name that is not empty, got "=\"c\"} 1""#);
    check("a{b=\"1\",b=\"2\"} 1", r#"label name "b" is not unique"#);
    check("a{__name__=\"b\"} 1", r#"label name "__name__" is not unique"#);
    check("a{\"b\"} 1", "metric name set twice");
    check("{\"a\",\"b\"} 1", "metric name set twice");
    check("{a=\"b\"} 1", "metric name not set");
    check("{} 1", "metric name not set");
    check("# TYPE a bogus", r#"invalid metric type "bogus""#);
    check("# TYPE a", r#"invalid metric type """#);
    check("# TYPE 1a counter", r#"expected a metric name, got "1a counter""#);
    check("# HELP ", "expected a metric name, got the end of the line");
}

#[test]
fn an_error_quotes_the_beginning_of_what_is_long() {
    #[track_caller]
    fn check(before: &str, after: &str) {
        let body = format!("{before}{}{after}\n# EOF\n", "9".repeat(10_000));
        let error = read(&body, Format::OpenMetrics).pop().expect("something was read");
        assert!(error.starts_with("line 1: "), "{error}");
        assert!(error.len() < 200, "{} bytes", error.len());
    }
    check("a 1.", ".");
    check("a 1 ", ".");
    check("# TYPE a ", "");
    check("# UNIT a ", "");
    check("# UNIT a", " b");
    check("{x", "=\"1\"} 1");
    check("a{\"", "\"} 1");
    check(&format!("a{{x{0}=\"1\",x", "9".repeat(10_000)), "=\"2\"} 1");
}

#[test]
fn malformed_open_metrics_are_errors() {
    #[track_caller]
    fn check(body: &str, expect: &str) {
        let lines = read(body, Format::OpenMetrics);
        assert_eq!(lines.last().map(String::as_str), Some(expect), "{body:?}");
    }
    check("", "line 1: data does not end with # EOF");
    check("a 1", "line 1: data does not end with # EOF");
    check("a 1\n", "line 2: data does not end with # EOF");
    check("# EOF\na 1\n", "line 2: unexpected data after # EOF");
    check("\n# EOF", r#"line 1: expected a metric name, got the end of the line"#);
    check("a  1\n# EOF", "line 1: expected a value, got \" 1\"");
    check("a{b=\"c\", d=\"e\"} 1\n# EOF", r#"line 1: expected a label name, got " d=\"e\"} 1""#);
    check("a{b=\"c\"d=\"e\"} 1\n# EOF", r#"line 1: expected ',' or '}', got "d=\"e\"} 1""#);
    check(
        "a{b=\"x\ny\"} 1\n# EOF",
        r#"line 1: expected a closing quote on the same line, got "\"x""#,
    );
    check("a 1 \n# EOF", "line 1: expected a timestamp, got the end of the line");
    check("a 1 NaN\n# EOF", r#"line 1: invalid timestamp "NaN""#);
    check("a 1 2 3\n# EOF", r#"line 1: expected the end of the line, got " 3""#);
    check("a 1 # {id} 1\n# EOF", r#"line 1: expected '=', got "} 1""#);
    check("a 1 # {\"id\"} 1\n# EOF", r#"line 1: expected '=', got "} 1""#);
    check("a 1 # {id=\"x\" 1\n# EOF", r#"line 1: expected ',' or '}', got " 1""#);
    check("a 1 # x 1\n# EOF", r#"line 1: expected the labels of an exemplar, got "x 1""#);
    check("a 1 # {id=\"x\"}\n# EOF", "line 1: expected a value, got the end of the line");
    check(
        "# a comment\n# EOF",
        r##"line 1: expected # HELP, # TYPE, # UNIT or # EOF, got "# a comment""##,
    );
    check("# UNIT a seconds\n# EOF", r#"line 1: unit "seconds" not a suffix of metric "a""#);
    check(
        "# UNIT seconds seconds\n# EOF",
        r#"line 1: unit "seconds" not a suffix of metric "seconds""#,
    );
    check("# TYPE a counter", "line 1: data does not end with # EOF");
}

#[test]
fn invalid_utf8_is_an_error_with_its_line() {
    for format in [Format::Text, Format::OpenMetrics] {
        assert_eq!(read_bytes(b"a 1\nb{c=\"\xff\"} 1\n", format), ["line 2: invalid UTF-8"]);
    }
}

#[test]
fn no_target_can_send_a_staleness_marker() {
    let mut parser = Parser::new(b"a NaN\n", Format::Text).unwrap();
    let Some(Ok(Entry::Sample(sample))) = parser.next() else { panic!("a sample") };
    assert!(sample.value.is_nan() && !model::is_stale(sample.value));
}

#[test]
fn the_series_text_is_what_stands_before_the_value() {
    let body = "a 1\n  b{c=\"d\"} 2 3\n{\"e\"}\t4\n";
    let texts: Vec<_> = Parser::new(body.as_bytes(), Format::Text)
        .unwrap()
        .map(|entry| match entry {
            Ok(Entry::Sample(sample)) => sample.series,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["a", "b{c=\"d\"}", "{\"e\"}"]);
}

/// A body that uses all of both formats, to be damaged.
const RICH: &str = "# HELP a_seconds x\\ny\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
    a_seconds_bucket{b=\"c\\\"\\\\\",le=\"1\"} 1.5e3 1520879607.789 # {id=\"\u{e9}\"} 0.5 1.0\n\
    {\"my.metric\",\"a.b\"=\"\u{1f600}\",} NaN\nup{} +Inf 7\n# EOF\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// EXPO-1
    #[test]
    fn no_bytes_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_bytes(&body, Format::Text);
        read_bytes(&body, Format::OpenMetrics);
    }

    /// EXPO-1, near well-formed input.
    #[test]
    fn no_damage_makes_the_parser_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..3, any::<u8>()), 1..6)
    ) {
        const LIKELY: &[u8] = b"{}\"\\,= \n\t#a1";
        let mut body = RICH.as_bytes().to_vec();
        for (index, kind, byte) in damage {
            let at = index.index(body.len());
            match kind {
                0 => body[at] = byte,
                1 => body.insert(at, LIKELY[usize::from(byte) % LIKELY.len()]),
                _ => body.truncate(at.max(1)),
            }
        }
        read_bytes(&body, Format::Text);
        read_bytes(&body, Format::OpenMetrics);
    }

    /// On what `prometheus-parse` understands (bare names; no comma, equals sign, quote or brace in
    /// a value) we read the same as it does.
    #[test]
    fn plain_input_reads_as_prometheus_parse_reads_it(
        samples in proptest::collection::vec(plain_sample(), 0..20)
    ) {
        let lines: Vec<String> = samples.iter().map(PlainSample::line).collect();
        let reference =
            prometheus_parse::Scrape::parse(lines.iter().cloned().map(Ok)).unwrap().samples;
        let body = lines.join("\n");
        let mut parser = Parser::new(body.as_bytes(), Format::Text).unwrap();
        for expect in &reference {
            let Some(Ok(Entry::Sample(sample))) = parser.next() else { panic!("a sample") };
            let labels = parser.labels(&sample).unwrap().build();
            prop_assert_eq!(labels.metric_name(), &expect.metric);
            prop_assert_eq!(labels.len(), 1 + expect.labels.len());
            for (name, value) in expect.labels.iter() {
                prop_assert_eq!(labels.get(name), Some(value.as_str()));
            }
            let prometheus_parse::Value::Untyped(value) = expect.value else { panic!("untyped") };
            prop_assert!(sample.value == value || (sample.value.is_nan() && value.is_nan()));
            if let Some(timestamp) = sample.timestamp {
                prop_assert_eq!(timestamp.as_millis(), expect.timestamp.timestamp_millis());
            }
        }
        prop_assert!(parser.next().is_none());
        prop_assert_eq!(reference.len(), samples.len());
    }
}

#[derive(Clone, Debug)]
struct PlainSample {
    name: String,
    labels: std::collections::BTreeMap<String, String>,
    value: f64,
    timestamp: Option<i32>,
}

impl PlainSample {
    fn line(&self) -> String {
        let labels: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let braces =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let time = self.timestamp.map_or(String::new(), |timestamp| format!(" {timestamp}"));
        format!("{}{braces} {}{time}", self.name, GoFloat(self.value))
    }
}

fn plain_sample() -> impl Strategy<Value = PlainSample> {
    let labels =
        proptest::collection::btree_map("[a-z_][a-z0-9_]{0,5}", "[ -!#-+./0-9a-zé:]{1,9}", 0..5);
    ("[a-z_][a-z0-9_]{0,9}", labels, any::<f64>(), proptest::option::of(any::<i32>()))
        .prop_map(|(name, labels, value, timestamp)| PlainSample { name, labels, value, timestamp })
}
