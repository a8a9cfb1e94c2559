//! All samples, a line for each, as `promtool tsdb dump` prints them. Histograms are printed as its later
//! versions do; 2.42 leaves them out, and those that came next leave out the first ones of a series.

use std::io::Write;
use std::path::{Path, PathBuf};

use ::tsdb::inspect::dump::Dump;
use clap::Args;
use model::labels::{Quoted, is_legacy_label_name};
use model::number::General;
use model::{Labels, SampleValue, TimeRange, Timestamp};

#[derive(Debug, Args)]
pub(super) struct DumpArgs {
    pub(super) dir: PathBuf,
    /// Only of series that match this selector; may be given several times
    #[arg(long = "match", default_value = "{__name__=~\"(?s:.*)\"}")]
    pub(super) selectors: Vec<String>,
    /// The first time, in milliseconds since 1970
    #[arg(long, default_value_t = i64::MIN, allow_negative_numbers = true)]
    pub(super) min_time: i64,
    /// The last time, in milliseconds since 1970
    #[arg(long, default_value_t = i64::MAX, allow_negative_numbers = true)]
    pub(super) max_time: i64,
}

pub(super) fn run(arguments: &DumpArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let selectors = arguments.selectors.iter().map(|text| promql::parse_selector(text));
    let matcher_sets: Vec<_> = selectors.collect::<Result<_, _>>()?;
    let range = TimeRange::new(
        Timestamp::from_millis(arguments.min_time),
        Timestamp::from_millis(arguments.max_time),
    );
    let mut dump = Dump::open(&arguments.dir, &matcher_sets, range)?;
    while let Some((labels, points)) = dump.next_series()? {
        let series = series_text(&labels);
        for point in points {
            let at = point.timestamp.as_millis();
            match point.value {
                SampleValue::Float(value) => writeln!(out, "{series} {} {at}", General(value))?,
                SampleValue::Histogram(histogram) => writeln!(out, "{series} {histogram} {at}")?,
            }
        }
    }
    warn_of_damage(&arguments.dir, dump.log_damage());
    Ok(())
}

fn warn_of_damage(dir: &Path, places: u64) {
    if places > 0 {
        let dir = dir.display();
        eprintln!("the log is damaged: `watershed tsdb verify {dir}` says where ({places} places)");
    }
}

/// With the metric's name among the labels.
fn series_text(labels: &Labels) -> String {
    let pair = |(name, value): (&str, &str)| match is_legacy_label_name(name) {
        true => format!("{name}={}", Quoted(value)),
        false => format!("{}={}", Quoted(name), Quoted(value)),
    };
    let pairs: Vec<String> = labels.iter().map(pair).collect();
    format!("{{{}}}", pairs.join(", "))
}
