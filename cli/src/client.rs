//! A client of the Prometheus HTTP API: ours, or anybody's.

use std::time::Duration;

use anyhow::{Context, bail};
use model::{Labels, Sample, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// Longer than any server's own query timeout, so that its error arrives rather than ours.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(150);

#[derive(Clone, Debug)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
}

/// The answer to a query, as its `resultType` says.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Scalar(Sample),
    String(Timestamp, String),
    Vector(Vec<(Labels, Sample)>),
    Matrix(Vec<(Labels, Vec<Sample>)>),
}

/// The `data` of a successful response, and what the server had to say about it.
#[derive(Debug)]
pub struct Response {
    pub data: Value,
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

impl Client {
    /// `url` is what a browser would open, such as `http://127.0.0.1:9303`; a path is kept.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let mut base = Url::parse(url).with_context(|| format!("read the URL {url:?}"))?;
        if !matches!(base.scheme(), "http" | "https") {
            bail!("{url}: must start with http:// or https://");
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?;
        Ok(Self { base, http })
    }

    /// GETs `path` below `/api/v1/` and opens the envelope.
    pub async fn get(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<Response> {
        let mut url = self.base.join(&format!("api/v1/{path}")).context("build the URL")?;
        url.query_pairs_mut().extend_pairs(parameters);
        let answer =
            self.http.get(url).send().await.with_context(|| format!("ask {}", self.base))?;
        let status = answer.status();
        let body = answer.bytes().await.with_context(|| format!("read from {}", self.base))?;
        let envelope: Envelope = serde_json::from_slice(&body).with_context(|| {
            let start: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            format!("{}: status {status} and no Prometheus response: {start:?}", self.base)
        })?;
        if envelope.status != "success" {
            bail!("{status}: {}: {}", envelope.error_type, envelope.error);
        }
        let Envelope { data, warnings, infos, .. } = envelope;
        Ok(Response { data, warnings, infos })
    }

    /// The vector that `query` gives now.
    pub async fn vector(&self, query: &str) -> anyhow::Result<Vec<(Labels, Sample)>> {
        let response = self.get("query", &[("query", query.to_owned())]).await?;
        match answer(&response.data)? {
            Answer::Vector(vector) => Ok(vector),
            other => bail!("{query}: expected a vector, got {other:?}"),
        }
    }
}

/// Reads the `data` of a query response.
pub fn answer(data: &Value) -> anyhow::Result<Answer> {
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("scalar") => Ok(Answer::Scalar(sample(result)?)),
        Some("string") => {
            let text = result[1].as_str().context("a string result without text")?;
            Ok(Answer::String(timestamp(&result[0])?, text.to_owned()))
        }
        Some("vector") => {
            let series = result.as_array().context("a vector result that is no list")?;
            let read = |one: &Value| Ok((labels(&one["metric"])?, sample(&one["value"])?));
            Ok(Answer::Vector(series.iter().map(read).collect::<anyhow::Result<_>>()?))
        }
        Some("matrix") => {
            let series = result.as_array().context("a matrix result that is no list")?;
            let read = |one: &Value| {
                let points = one["values"].as_array().context("a series without values")?;
                let points = points.iter().map(sample).collect::<anyhow::Result<_>>()?;
                Ok((labels(&one["metric"])?, points))
            };
            Ok(Answer::Matrix(series.iter().map(read).collect::<anyhow::Result<_>>()?))
        }
        other => bail!("unknown result type {other:?}"),
    }
}

/// Reads one label set: a JSON object of strings.
pub fn labels(json: &Value) -> anyhow::Result<Labels> {
    let pairs = json.as_object().context("labels that are no object")?;
    pairs
        .iter()
        .map(|(name, value)| {
            Ok((name.as_str(), value.as_str().context("a label that is no text")?))
        })
        .collect()
}

fn sample(json: &Value) -> anyhow::Result<Sample> {
    let text = json[1].as_str().context("a sample without a value")?;
    let value = match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        _ => text.parse().with_context(|| format!("read the value {text:?}"))?,
    };
    Ok(Sample { timestamp: timestamp(&json[0])?, value })
}

fn timestamp(json: &Value) -> anyhow::Result<Timestamp> {
    json.as_f64().map(Timestamp::from_seconds).context("a sample without a time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_type_is_read() {
        #[track_caller]
        fn check(data: &str, expect: Answer) {
            assert_eq!(answer(&serde_json::from_str(data).unwrap()).unwrap(), expect, "{data}");
        }
        let at = Timestamp::from_millis(1500);
        let up = || Labels::from_iter([("__name__", "up"), ("job", "node")]);
        let sample = |value| Sample { timestamp: at, value };
        check(r#"{"resultType":"scalar","result":[1.5,"2"]}"#, Answer::Scalar(sample(2.0)));
        check(r#"{"resultType":"string","result":[1.5,"a"]}"#, Answer::String(at, "a".into()));
        check(
            r#"{"resultType":"vector","result":[
                {"metric":{"job":"node","__name__":"up"},"value":[1.5,"-Inf"]}]}"#,
            Answer::Vector(vec![(up(), sample(f64::NEG_INFINITY))]),
        );
        check(
            r#"{"resultType":"matrix","result":[
                {"metric":{"job":"node","__name__":"up"},"values":[[1.5,"1"],[1.5,"0"]]}]}"#,
            Answer::Matrix(vec![(up(), vec![sample(1.0), sample(0.0)])]),
        );
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for data in [r#"{}"#, r#"{"resultType":"vector","result":[{"metric":{},"value":[1]}]}"#] {
            assert!(answer(&serde_json::from_str(data).unwrap()).is_err(), "{data}");
        }
    }

    #[test]
    fn only_http_urls_are_taken() {
        assert!(Client::new("127.0.0.1:9303").is_err());
        assert!(Client::new("http://127.0.0.1:9303/prefix").is_ok());
    }
}
