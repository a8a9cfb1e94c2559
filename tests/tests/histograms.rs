//! Numbers, native histograms and exemplars on their way through real processes, ours and others':
//!
//! ```text
//! test ─ remote write 1.0, 2.0 ─► edge ─ remote write ─► prometheus ─ remote write ─► central
//! ```

use std::time::Duration;

use anyhow::ensure;
use cli::programs::Tier;
use prost::Message as _;
use proto::v1::histogram::{Count, ResetHint, ZeroCount};
use proto::v1::{BucketSpan, Exemplar, Histogram, Label, Sample, TimeSeries, WriteRequest};
use proto::v2;
use reqwest::StatusCode;
use serde_json::Value;
use system_tests::{Lab, Server, compress, eventually, now, post_write};

const SOON: Duration = Duration::from_secs(30);
const SAMPLES: i64 = 8;
const STEP_MILLIS: i64 = 1000;

fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    let label = |&(name, value): &(&str, &str)| Label { name: name.into(), value: value.into() };
    pairs.iter().map(label).collect()
}

/// The `i`th sample of a counter that was reset in the middle.
fn histogram(i: i64, timestamp: i64) -> Histogram {
    let growth = (i % (SAMPLES / 2)) as u64;
    Histogram {
        count: Some(Count::Int(8 + 5 * growth)),
        sum: 1.5 + i as f64,
        schema: 3,
        zero_threshold: 0.001,
        zero_count: Some(ZeroCount::Int(1 + growth)),
        negative_spans: vec![BucketSpan { offset: -3, length: 1 }],
        negative_deltas: vec![2],
        positive_spans: vec![
            BucketSpan { offset: -1, length: 2 },
            BucketSpan { offset: 2, length: 1 },
        ],
        positive_deltas: vec![1 + growth as i64, 0, 2 + growth as i64],
        timestamp,
        ..Histogram::default()
    }
}

fn with_fractional_counts(whole: &Histogram) -> Histogram {
    let (Some(Count::Int(count)), Some(ZeroCount::Int(zero_count))) =
        (whole.count, whole.zero_count)
    else {
        panic!("whole counts")
    };
    let counts = |deltas: &[i64]| {
        let mut count = 0;
        let counts = deltas.iter().map(|delta| {
            count += delta;
            count as f64 / 2.0
        });
        counts.collect()
    };
    Histogram {
        count: Some(Count::Float(count as f64 / 2.0)),
        zero_count: Some(ZeroCount::Float(zero_count as f64 / 2.0)),
        negative_counts: counts(&whole.negative_deltas),
        positive_counts: counts(&whole.positive_deltas),
        negative_deltas: Vec::new(),
        positive_deltas: Vec::new(),
        ..whole.clone()
    }
}

/// Series of each kind, from `start` on.
fn all_kinds(start: i64) -> Vec<TimeSeries> {
    let times = || (0..SAMPLES).map(|i| (i, start + i * STEP_MILLIS));
    let exemplar = |(i, timestamp): (i64, i64)| Exemplar {
        labels: labels(&[("trace_id", &format!("{i:x}"))]),
        value: i as f64 / 4.0,
        timestamp: timestamp + 3,
    };
    let whole = times().map(|(i, at)| histogram(i, at));
    let numbers = times().map(|(i, timestamp)| Sample { value: i as f64 * 1.25, timestamp });
    vec![
        TimeSeries {
            labels: labels(&[("__name__", "numbers"), ("job", "a")]),
            samples: numbers.collect(),
            exemplars: times().map(exemplar).collect(),
            ..TimeSeries::default()
        },
        TimeSeries {
            labels: labels(&[("__name__", "whole"), ("job", "a")]),
            exemplars: times().skip(1).step_by(2).map(exemplar).collect(),
            histograms: whole.clone().collect(),
            ..TimeSeries::default()
        },
        TimeSeries {
            labels: labels(&[("__name__", "fractional"), ("job", "a")]),
            histograms: whole.map(|whole| with_fractional_counts(&whole)).collect(),
            ..TimeSeries::default()
        },
    ]
}

/// What a server says of all that [`all_kinds`] gives from `start` on.
async fn answers(server: &Server, start: i64) -> anyhow::Result<Vec<String>> {
    let (first, last) = (start as f64 / 1000.0, (start + SAMPLES * STEP_MILLIS) as f64 / 1000.0);
    let range = format!("start={first}&end={last}");
    let paths = [
        format!("query?query=numbers&time={last}"),
        format!("query?query=whole&time={last}"),
        format!("query?query=fractional&time={last}"),
        format!("query_range?query=whole&{range}&step=1"),
        format!("query_range?query=fractional&{range}&step=1"),
        format!("query?query=histogram_sum(whole)&time={last}"),
        format!("query?query=sum(rate(fractional[6500ms]))&time={last}"),
        format!("query_exemplars?query=numbers&{range}"),
        format!("query_exemplars?query=whole&{range}"),
    ];
    let mut answers = Vec::new();
    for path in paths {
        let answer = reqwest::get(server.url(&format!("/api/v1/{path}"))).await?;
        answers.push(format!("{path} {} {}", answer.status(), answer.text().await?));
    }
    Ok(answers)
}

fn has_everything(answers: &[String]) -> anyhow::Result<()> {
    let empty = ["\"result\":[]", "\"data\":[]", "error"];
    let lack = answers.iter().find(|answer| empty.iter().any(|empty| answer.contains(empty)));
    ensure!(lack.is_none(), "{lack:?}");
    let count = |answer: &String, of: &str| answer.matches(of).count();
    ensure!(count(&answers[3], "\"count\":") == SAMPLES as usize + 1, "{}", answers[3]);
    ensure!(count(&answers[4], "\"count\":") == SAMPLES as usize + 1, "{}", answers[4]);
    ensure!(count(&answers[7], "trace_id") == SAMPLES as usize, "{}", answers[7]);
    ensure!(count(&answers[8], "trace_id") == SAMPLES as usize / 2, "{}", answers[8]);
    Ok(())
}

#[tokio::test]
async fn every_kind_goes_through_the_tree_and_a_real_prometheus() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let sends_to = |url: String| {
        format!(
            "remote_write:\n\
             - url: {url}\n  \
               send_exemplars: true\n  \
               send_native_histograms: true\n  \
               queue_config: {{batch_send_deadline: 1s}}\n"
        )
    };
    let mut central = lab.tier(Tier::Central, "central", "").await?;
    let prometheus = sends_to(central.url("/api/v1/write"));
    let prometheus = lab.prometheus("prometheus", &prometheus).await?;
    let edge = sends_to(prometheus.url("/api/v1/write"));
    let mut edge = lab.tier(Tier::Edge, "edge", &edge).await?;

    // Prometheus sends on only what is newer than itself.
    let start = (now().as_millis() / 1000 + 1) * 1000;
    let request = WriteRequest { timeseries: all_kinds(start), metadata: Vec::new() };
    let body = compress(&request.encode_to_vec())?;
    let written = post_write(&edge.url("/api/v1/write"), body).await?;
    ensure!(written.0 == StatusCode::NO_CONTENT, "{written:?}");

    let expect = answers(&edge, start).await?;
    has_everything(&expect)?;
    for server in [&prometheus, &central] {
        eventually(SOON, async || {
            let found = answers(server, start).await?;
            let differs = expect.iter().zip(&found).find(|(a, b)| a != b);
            ensure!(differs.is_none(), "{}: {differs:#?}", server.process.name());
            Ok(())
        })
        .await?;
    }
    for server in [&mut edge, &mut central] {
        server.crash_and_restart().await?;
        ensure!(answers(server, start).await? == expect, "{}", server.process.name());
    }
    Ok(())
}

/// Prometheus 2.42 does not know custom buckets.
#[tokio::test]
async fn custom_buckets_come_by_remote_write_2_and_survive_a_crash() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let mut edge = lab.tier(Tier::Edge, "edge", "").await?;
    let timestamp = now().as_millis();
    let symbols = ["", "__name__", "custom", "trace_id", "x"].map(str::to_owned).to_vec();
    let series = v2::TimeSeries {
        labels_refs: vec![1, 2],
        histograms: vec![v2::Histogram {
            count: Some(v2::histogram::Count::Int(6)),
            sum: 12.5,
            schema: -53,
            positive_spans: vec![v2::BucketSpan { offset: 0, length: 3 }],
            positive_deltas: vec![1, 1, 1],
            reset_hint: ResetHint::Unknown as i32,
            custom_values: vec![0.5, 5.0],
            timestamp,
            ..v2::Histogram::default()
        }],
        exemplars: vec![v2::Exemplar { labels_refs: vec![3, 4], value: 0.25, timestamp }],
        ..v2::TimeSeries::default()
    };
    let message = v2::Request { symbols, timeseries: vec![series] }.encode_to_vec();
    let answer = reqwest::Client::new()
        .post(edge.url("/api/v1/write"))
        .header("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
        .header("Content-Encoding", "snappy")
        .body(compress(&message)?)
        .send()
        .await?;
    ensure!(answer.status() == StatusCode::NO_CONTENT, "{answer:?}");
    let written =
        |kind: &str| &answer.headers()[&format!("x-prometheus-remote-write-{kind}-written")];
    ensure!(
        written("samples") == "0" && written("histograms") == "1" && written("exemplars") == "1"
    );
    for _ in 0..2 {
        let found = reqwest::get(edge.url("/api/v1/query?query=custom")).await?.text().await?;
        let found: Value = serde_json::from_str(&found)?;
        let histogram = &found["data"]["result"][0]["histogram"][1];
        let expect = serde_json::json!({
            "count": "6",
            "sum": "12.5",
            "buckets": [[3, "-Inf", "0.5", "1"], [0, "0.5", "5", "2"], [0, "5", "+Inf", "3"]],
        });
        ensure!(*histogram == expect, "{found}");
        let found = reqwest::get(edge.url("/api/v1/query_exemplars?query=custom")).await?;
        let found = found.text().await?;
        ensure!(found.contains(r#""labels":{"trace_id":"x"},"value":"0.25""#), "{found}");
        edge.crash_and_restart().await?;
    }
    Ok(())
}
