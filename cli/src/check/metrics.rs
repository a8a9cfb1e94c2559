//! What a target exposes, as a scrape would read it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use exposition::{Entry, Format, ParseError, Parser};
use model::Labels;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    samples: usize,
    metrics: usize,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error("{0} stands there twice")]
    Twice(Labels),
    #[error("no samples")]
    Empty,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples of {} metrics", self.samples, self.metrics)
    }
}

/// Reads every sample; an error names the line.
pub(super) fn check(page: &[u8]) -> Result<Summary, PageError> {
    let parser = Parser::new(page, format_of(page))?;
    let mut names = BTreeSet::new();
    let mut seen = HashMap::new();
    let mut samples = 0;
    for entry in parser.clone() {
        let Entry::Sample(sample) = entry? else { continue };
        let labels = parser.labels(&sample)?.build();
        samples += 1;
        names.insert(labels.metric_name().to_owned());
        // Two samples of one series are two points in time, or a mistake.
        if let Some(before) = seen.insert(labels.clone(), sample.timestamp)
            && before == sample.timestamp
        {
            return Err(PageError::Twice(labels));
        }
    }
    if samples == 0 {
        return Err(PageError::Empty);
    }
    Ok(Summary { samples, metrics: names.len() })
}

/// OpenMetrics says where it ends; the text format has no such line.
fn format_of(page: &[u8]) -> Format {
    let end = page.trim_ascii_end();
    if end.ends_with(b"# EOF") { Format::OpenMetrics } else { Format::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_or_refused_with_their_line() {
        #[track_caller]
        fn check_page(page: &str, expect: &str) {
            let said = match check(page.as_bytes()) {
                Ok(summary) => summary.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(said.contains(expect), "{page:?}: expected {expect:?} in {said:?}");
        }
        check_page("a{b=\"c\"} 1\na 2\nd 3\n", "3 samples of 2 metrics");
        check_page("# TYPE a counter\na_total 1\n# EOF\n", "1 samples of 1 metrics");
        check_page("a 1\nb\n", "line 2");
        check_page("a 1\nb{c=d} 1\n", "line 2");
        check_page("a 1\na 2\n", "a stands there twice");
        check_page("a 1 1000\na 2 2000\n", "2 samples");
        check_page("# TYPE a counter\n", "no samples");
    }
}
