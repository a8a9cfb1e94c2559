//! `watershed query`: asks any server that speaks the Prometheus HTTP API.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use model::Timestamp;
use serde_json::Value;

use crate::client::{Answer, Client, Response, answer, labels};

/// As many points as a graph is wide, roughly: what a range query gives without `--step`.
const RANGE_POINTS: f64 = 250.0;

#[derive(Debug, Args)]
pub struct QueryArgs {
    #[command(subcommand)]
    query: Query,
    /// The server to ask
    #[arg(long, global = true, default_value = "http://127.0.0.1:9303")]
    url: String,
    /// How to print the answer
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Query {
    /// Evaluate an expression at one time
    Instant {
        expression: String,
        /// Unix seconds or RFC 3339; the server's present if left out
        #[arg(long, value_parser = parse_time)]
        time: Option<Timestamp>,
    },
    /// Evaluate an expression over a range of time
    Range {
        expression: String,
        /// Unix seconds or RFC 3339; one hour before the end if left out
        #[arg(long, value_parser = parse_time)]
        start: Option<Timestamp>,
        /// Unix seconds or RFC 3339; now if left out
        #[arg(long, value_parser = parse_time)]
        end: Option<Timestamp>,
        /// Time between two points, such as 15s; the range over 250 if left out
        #[arg(long, value_parser = model::duration::parse)]
        step: Option<Duration>,
    },
    /// List the series that match any of the selectors
    Series {
        #[arg(required = true)]
        selectors: Vec<String>,
        #[command(flatten)]
        range: RangeArgs,
    },
    /// List label names, or the values of one label
    Labels {
        name: Option<String>,
        /// Only of series that match this selector; may be given several times
        #[arg(long = "match")]
        selectors: Vec<String>,
        #[command(flatten)]
        range: RangeArgs,
    },
}

#[derive(Clone, Copy, Debug, Args)]
struct RangeArgs {
    /// Unix seconds or RFC 3339
    #[arg(long, value_parser = parse_time)]
    start: Option<Timestamp>,
    /// Unix seconds or RFC 3339
    #[arg(long, value_parser = parse_time)]
    end: Option<Timestamp>,
}

/// The path below `/api/v1/`, and its parameters.
type Request = (String, Vec<(&'static str, String)>);

pub async fn run(arguments: QueryArgs) -> anyhow::Result<()> {
    let client = Client::new(&arguments.url)?;
    let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
    let (path, parameters) = request(&arguments.query, now);
    let response = client.get(&path, &parameters).await?;
    for note in response.warnings.iter().chain(&response.infos) {
        eprintln!("{note}");
    }
    match arguments.output {
        Format::Json => println!("{}", serde_json::to_string_pretty(&response.data)?),
        Format::Text => print!("{}", text(&arguments.query, &response)?),
    }
    Ok(())
}

fn request(query: &Query, now: Timestamp) -> Request {
    match query {
        Query::Instant { expression, time } => {
            let mut parameters = vec![("query", expression.clone())];
            parameters.extend(time.map(|time| ("time", seconds(time))));
            ("query".to_owned(), parameters)
        }
        Query::Range { expression, start, end, step } => {
            let end = end.unwrap_or(now);
            let start = start.unwrap_or(end.minus(Duration::from_secs(3600)));
            let step = step.map_or_else(
                || ((end.as_seconds() - start.as_seconds()) / RANGE_POINTS).ceil().max(1.0),
                |step| step.as_secs_f64(),
            );
            let parameters = vec![
                ("query", expression.clone()),
                ("start", seconds(start)),
                ("end", seconds(end)),
                ("step", step.to_string()),
            ];
            ("query_range".to_owned(), parameters)
        }
        Query::Series { selectors, range } => ("series".to_owned(), range.parameters(selectors)),
        Query::Labels { name: None, selectors, range } => {
            ("labels".to_owned(), range.parameters(selectors))
        }
        Query::Labels { name: Some(name), selectors, range } => {
            (format!("label/{name}/values"), range.parameters(selectors))
        }
    }
}

impl RangeArgs {
    fn parameters(self, selectors: &[String]) -> Vec<(&'static str, String)> {
        let matches = selectors.iter().map(|selector| ("match[]", selector.clone()));
        let start = self.start.map(|start| ("start", seconds(start)));
        let end = self.end.map(|end| ("end", seconds(end)));
        matches.chain(start).chain(end).collect()
    }
}

fn text(query: &Query, response: &Response) -> anyhow::Result<String> {
    match query {
        Query::Instant { .. } | Query::Range { .. } => Ok(answer_text(&answer(&response.data)?)),
        Query::Series { .. } => {
            let series = response.data.as_array().context("series that are no list")?;
            series.iter().map(|one| Ok(format!("{}\n", labels(one)?))).collect()
        }
        Query::Labels { .. } => {
            let names = response.data.as_array().context("labels that are no list")?;
            Ok(names.iter().filter_map(Value::as_str).map(|name| format!("{name}\n")).collect())
        }
    }
}

/// One line per sample; a series with several samples opens with a line of its own.
fn answer_text(answer: &Answer) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match answer {
        Answer::Scalar(sample) => {
            writeln!(text, "{} @ {}", sample.value, seconds(sample.timestamp))
        }
        Answer::String(timestamp, value) => writeln!(text, "{value:?} @ {}", seconds(*timestamp)),
        Answer::Vector(vector) => vector.iter().try_for_each(|(labels, sample)| {
            writeln!(text, "{labels} => {} @ {}", sample.value, seconds(sample.timestamp))
        }),
        Answer::Matrix(matrix) => matrix.iter().try_for_each(|(labels, samples)| {
            writeln!(text, "{labels} =>")?;
            samples.iter().try_for_each(|sample| {
                writeln!(text, "  {} @ {}", sample.value, seconds(sample.timestamp))
            })
        }),
    };
    text
}

/// Seconds with exactly the milliseconds there are: what the API takes and people read.
fn seconds(timestamp: Timestamp) -> String {
    timestamp.as_seconds().to_string()
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok(Timestamp::from_seconds(seconds));
    }
    let time: jiff::Timestamp =
        text.parse().map_err(|_| format!("{text:?} is neither unix seconds nor RFC 3339"))?;
    Ok(Timestamp::from_millis(time.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: QueryArgs,
    }

    fn parse(line: &[&str]) -> Result<Query, clap::Error> {
        let words = ["query"].iter().chain(line);
        CommandLine::try_parse_from(words).map(|line| line.arguments.query)
    }

    #[test]
    fn command_lines_become_requests() {
        #[track_caller]
        fn check(line: &[&str], path: &str, expect: &[(&str, &str)]) {
            let now = Timestamp::from_millis(10_000_500);
            let (got, parameters) = request(&parse(line).unwrap(), now);
            let parameters: Vec<_> =
                parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!((got.as_str(), &*parameters), (path, expect), "{line:?}");
        }
        check(&["instant", "up"], "query", &[("query", "up")]);
        check(
            &["instant", "up", "--time", "1970-01-01T00:00:04.250Z"],
            "query",
            &[("query", "up"), ("time", "4.25")],
        );
        check(
            &["range", "up"],
            "query_range",
            &[("query", "up"), ("start", "6400.5"), ("end", "10000.5"), ("step", "15")],
        );
        check(
            &["range", "up", "--start", "0", "--end", "60", "--step", "500ms"],
            "query_range",
            &[("query", "up"), ("start", "0"), ("end", "60"), ("step", "0.5")],
        );
        check(
            &["series", "up", "down", "--end", "7"],
            "series",
            &[("match[]", "up"), ("match[]", "down"), ("end", "7")],
        );
        check(&["labels"], "labels", &[]);
        check(&["labels", "job", "--match", "up"], "label/job/values", &[("match[]", "up")]);
    }

    #[test]
    fn bad_times_are_refused() {
        for time in ["yesterday", "NaN", "", "1970-01-01"] {
            assert!(parse(&["instant", "up", "--time", time]).is_err(), "{time}");
        }
    }

    #[test]
    fn answers_print_one_line_per_sample() {
        #[track_caller]
        fn check(line: &[&str], data: Value, expect: &str) {
            let response = Response { data, warnings: Vec::new(), infos: Vec::new() };
            assert_eq!(text(&parse(line).unwrap(), &response).unwrap(), expect, "{line:?}");
        }
        check(
            &["instant", "up"],
            json!({"resultType": "vector", "result": [
                {"metric": {"__name__": "up", "job": "a"}, "value": [1.5, "1"]},
                {"metric": {}, "value": [1.5, "NaN"]}]}),
            "up{job=\"a\"} => 1 @ 1.5\n{} => NaN @ 1.5\n",
        );
        check(
            &["range", "up"],
            json!({"resultType": "matrix", "result": [
                {"metric": {"__name__": "up"}, "values": [[1, "1"], [2, "0"]]}]}),
            "up =>\n  1 @ 1\n  0 @ 2\n",
        );
        check(&["series", "up"], json!([{"__name__": "up", "job": "a"}]), "up{job=\"a\"}\n");
        check(&["labels"], json!(["__name__", "job"]), "__name__\njob\n");
    }
}
