//! Label pairs as a sender wrote them, checked and made into [`Labels`].
//!
//! - Source: Prometheus `storage/remote/write_handler.go`: a series without a metric name, with a
//!   name twice or with text that is not UTF-8 is refused, the rest of the request is not.

use std::fmt;

use model::{Labels, METRIC_NAME};

/// Series named in errors are cut here.
const TEXT_CHARS_MAX: usize = 400;

/// Why a series was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidLabels {
    #[error("label name is empty")]
    EmptyName,
    #[error("label {0:?} is given twice")]
    Duplicate(String),
    #[error("label {0:?} is not UTF-8")]
    NotUtf8(String),
    #[error("metric name is missing")]
    NoMetricName,
    #[error("labels refer to symbol {0}, which the request does not have")]
    NoSymbol(u32),
    #[error("label references are odd in number")]
    OddRefs,
}

/// A name and a value, not checked yet.
pub(super) type RawPair<'a> = (&'a [u8], &'a [u8]);

/// The labels of a series, checked and, where the sender did not, sorted. Empty values mean: label
/// absent.
pub(super) fn labels(raw: &[RawPair<'_>]) -> Result<Labels, InvalidLabels> {
    let pairs = checked(raw)?;
    if !pairs.iter().any(|(name, _)| *name == METRIC_NAME) {
        return Err(InvalidLabels::NoMetricName);
    }
    Ok(Labels::from_sorted(pairs))
}

/// As [`labels`], for those that need no metric name.
pub(super) fn any_labels(raw: &[RawPair<'_>]) -> Result<Labels, InvalidLabels> {
    Ok(Labels::from_sorted(checked(raw)?))
}

fn checked<'a>(raw: &[RawPair<'a>]) -> Result<Vec<(&'a str, &'a str)>, InvalidLabels> {
    let mut pairs = Vec::with_capacity(raw.len());
    for &(name, value) in raw {
        let not_utf8 = |_| InvalidLabels::NotUtf8(String::from_utf8_lossy(name).into_owned());
        let name = std::str::from_utf8(name).map_err(not_utf8)?;
        if name.is_empty() {
            return Err(InvalidLabels::EmptyName);
        }
        pairs.push((name, std::str::from_utf8(value).map_err(not_utf8)?));
    }
    if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
        pairs.sort_unstable();
        if let Some(twice) = pairs.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(InvalidLabels::Duplicate(twice[0].0.to_owned()));
        }
    }
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(pairs)
}

/// Any pairs as text for an error, however bad they are.
pub(super) struct RawText<'a>(pub(super) &'a [RawPair<'a>]);

impl fmt::Display for RawText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from("{");
        for (name, value) in self.0 {
            if text.len() > 1 {
                text.push_str(", ");
            }
            text.push_str(&String::from_utf8_lossy(name));
            text.push_str(&format!("={:?}", String::from_utf8_lossy(value)));
            if text.len() > TEXT_CHARS_MAX {
                break;
            }
        }
        match text.char_indices().nth(TEXT_CHARS_MAX) {
            Some((end, _)) => write!(f, "{}…}}", &text[..end]),
            None => write!(f, "{text}}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_checked_sorted_and_cleaned() {
        #[track_caller]
        fn check(pairs: &[(&str, &str)], expect: Result<&str, InvalidLabels>) {
            let raw: Vec<_> = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
            let text = labels(&raw).map(|labels| labels.to_string());
            assert_eq!(text, expect.map(str::to_owned), "{pairs:?}");
        }
        check(&[("__name__", "up"), ("job", "x")], Ok(r#"up{job="x"}"#));
        check(&[("job", "x"), ("__name__", "up")], Ok(r#"up{job="x"}"#));
        check(&[("__name__", "up"), ("job", "")], Ok("up"));
        check(&[("__name__", "ключ.a"), ("ö", "ü")], Ok(r#"{"ключ.a", "ö"="ü"}"#));
        check(&[("job", "x")], Err(InvalidLabels::NoMetricName));
        check(&[("__name__", "")], Err(InvalidLabels::NoMetricName));
        check(&[], Err(InvalidLabels::NoMetricName));
        check(&[("__name__", "a"), ("", "x")], Err(InvalidLabels::EmptyName));
        let twice = Err(InvalidLabels::Duplicate("a".into()));
        check(&[("__name__", "n"), ("a", "1"), ("a", "1")], twice.clone());
        check(&[("a", "1"), ("__name__", "n"), ("a", "")], twice);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_and_can_still_be_named() {
        let raw: [RawPair<'_>; 2] = [(b"__name__", b"up"), (b"job", b"a\xffb")];
        assert_eq!(labels(&raw), Err(InvalidLabels::NotUtf8("job".into())));
        assert_eq!(RawText(&raw).to_string(), r#"{__name__="up", job="a�b"}"#);
        let long = "é".repeat(1000);
        let text = RawText(&[(b"a", long.as_bytes())]).to_string();
        assert_eq!(text.chars().count(), TEXT_CHARS_MAX + 2);
    }
}
