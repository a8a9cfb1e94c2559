//! Conditions on one label each: what a selector's braces hold.
//!
//! Regexes match the whole value (`^(?s:…)$`, as in Prometheus). What a regex says in plain words is
//! recognised once, when the matcher is made: see [`Pattern`].

mod pattern;

use std::fmt;

use crate::Labels;
use crate::labels::{Quoted, is_legacy_label_name};
pub use pattern::{Gaps, Pattern};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchOp {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }

    pub const fn is_negative(self) -> bool {
        matches!(self, Self::NotEqual | Self::NotRegex)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp {pattern:?}: {reason}")]
pub struct MatcherError {
    pub pattern: String,
    pub reason: String,
}

/// A condition on one label. An absent label has the value `""`.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    pattern: Pattern,
}

impl Matcher {
    pub fn new(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => Pattern::Literals([value.clone()].into()),
            MatchOp::Regex | MatchOp::NotRegex => Pattern::compile(&value)?,
        };
        Ok(Self { name, op, value, pattern })
    }

    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = value.into();
        let pattern = Pattern::Literals([value.clone()].into());
        Self { name: name.into(), op: MatchOp::Equal, value, pattern }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The text after the operator.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What the matcher names, before negation: an index picks its strategy by it.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    pub fn matches(&self, value: &str) -> bool {
        self.pattern.matches(value) != self.op.is_negative()
    }

    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }
}

/// Whether `labels` meet every one of `matchers`.
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.value(&matcher.name)))
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl std::hash::Hash for Matcher {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.name, self.op, &self.value).hash(state);
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_legacy_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            write!(f, "{}", Quoted(&self.name))?;
        }
        write!(f, "{}{}", self.op.as_str(), Quoted(&self.value))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_see_whole_values_and_absent_labels() {
        #[track_caller]
        fn check(op: MatchOp, pattern: &str, value: &str, expect: bool) {
            let matcher = Matcher::new("label", op, pattern).unwrap();
            assert_eq!(matcher.matches(value), expect, "{matcher} on {value:?}");
        }
        check(MatchOp::Equal, "a", "a", true);
        check(MatchOp::NotEqual, "a", "", true);
        check(MatchOp::Regex, "a.c", "abc", true);
        check(MatchOp::Regex, "a.c", "xabc", false);
        check(MatchOp::Regex, "a.c", "a\nc", true);
        check(MatchOp::Regex, "a|", "", true);
        check(MatchOp::NotRegex, "a.+", "ab", false);
        check(MatchOp::NotRegex, ".+", "", true);
    }

    #[test]
    fn a_bad_regex_is_an_error_that_quotes_it() {
        let error = Matcher::new("label", MatchOp::Regex, "a(b").unwrap_err();
        assert_eq!(error.to_string(), r#"error parsing regexp "a(b": unclosed group"#);
        assert!(Matcher::new("label", MatchOp::Regex, "a{1000}{1000}{1000}").is_err());
    }
}
