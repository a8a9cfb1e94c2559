//! Conditions on one label each: what a selector's braces hold.
//!
//! Regexes match the whole value (`^(?s:…)$`, as in Prometheus). What a regex says in plain words
//! (one literal, a set of them, a prefix, anything, something) is recognised once, when the matcher
//! is made, and never reaches the regex engine.

use std::fmt;
use std::sync::Arc;

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::Labels;
use crate::labels::{Quoted, is_legacy_label_name};

/// No more literals than this are kept of one alternation; a larger one stays a regex.
const LITERALS_MAX: usize = 10_000;
/// A regex may not compile to more than this.
const REGEX_BYTES_MAX: usize = 8 << 20;

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

/// The values that a matcher names, before negation.
#[derive(Clone)]
pub enum Pattern {
    /// Sorted and unique.
    Literals(Arc<[String]>),
    Prefix(String),
    /// `.*`
    Anything,
    /// `.+`
    Something,
    Regex(regex::Regex),
}

impl Pattern {
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Literals(literals) if literals.len() == 1 => literals[0] == value,
            Self::Literals(literals) => {
                literals.binary_search_by(|literal| literal.as_str().cmp(value)).is_ok()
            }
            Self::Prefix(prefix) => value.starts_with(prefix),
            Self::Anything => true,
            Self::Something => !value.is_empty(),
            Self::Regex(regex) => regex.is_match(value),
        }
    }

    fn compile(pattern: &str) -> Result<Self, MatcherError> {
        let error = |reason: String| MatcherError { pattern: pattern.to_owned(), reason };
        let hir = regex_syntax::ParserBuilder::new()
            .dot_matches_new_line(true)
            .nest_limit(200)
            .build()
            .parse(pattern)
            .map_err(|e| error(last_line(&e.to_string())))?;
        if let Some(plain) = plain_pattern(&hir) {
            return Ok(plain);
        }
        regex::RegexBuilder::new(&format!("^(?s:{pattern})$"))
            .size_limit(REGEX_BYTES_MAX)
            .build()
            .map(Self::Regex)
            .map_err(|e| error(last_line(&e.to_string())))
    }
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

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literals(literals) => write!(f, "Literals({literals:?})"),
            Self::Prefix(prefix) => write!(f, "Prefix({prefix:?})"),
            Self::Anything => f.write_str("Anything"),
            Self::Something => f.write_str("Something"),
            Self::Regex(regex) => write!(f, "Regex({:?})", regex.as_str()),
        }
    }
}

/// The regex crate draws the pattern over several lines; the last one says what is wrong.
fn last_line(message: &str) -> String {
    let line = message.trim_end().rsplit('\n').next().unwrap_or(message);
    line.trim().trim_start_matches("error: ").to_owned()
}

fn plain_pattern(hir: &Hir) -> Option<Pattern> {
    if let Some(mut literals) = literal_set(hir) {
        literals.sort_unstable();
        literals.dedup();
        return Some(Pattern::Literals(literals.into()));
    }
    match hir.kind() {
        HirKind::Repetition(_) => match any_repetition(hir)? {
            0 => Some(Pattern::Anything),
            _ => Some(Pattern::Something),
        },
        HirKind::Concat(parts) => match parts.as_slice() {
            [prefix, rest] if any_repetition(rest) == Some(0) => match prefix.kind() {
                HirKind::Literal(text) => {
                    Some(Pattern::Prefix(String::from_utf8(text.0.to_vec()).ok()?))
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// `.*` gives 0, `.+` gives 1, anything else nothing.
fn any_repetition(hir: &Hir) -> Option<u32> {
    let HirKind::Repetition(repetition) = hir.kind() else { return None };
    let unbounded = repetition.max.is_none() && repetition.min <= 1;
    (unbounded && is_any_char(&repetition.sub)).then_some(repetition.min)
}

fn is_any_char(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            let [range] = class.ranges() else { return false };
            range.start() == '\0' && range.end() == char::MAX
        }
        HirKind::Capture(capture) => is_any_char(&capture.sub),
        _ => false,
    }
}

/// All strings that `hir` matches, where those are few.
fn literal_set(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(text) => Some(vec![String::from_utf8(text.0.to_vec()).ok()?]),
        HirKind::Capture(capture) => literal_set(&capture.sub),
        HirKind::Class(Class::Unicode(class)) => {
            let count: u64 =
                class.iter().map(|r| u64::from(r.end() as u32 - r.start() as u32) + 1).sum();
            (count <= 256).then(|| {
                class.iter().flat_map(|r| (r.start()..=r.end()).map(String::from)).collect()
            })
        }
        HirKind::Repetition(repetition) if (repetition.min, repetition.max) == (0, Some(1)) => {
            let mut literals = literal_set(&repetition.sub)?;
            literals.push(String::new());
            Some(literals)
        }
        HirKind::Alternation(branches) => {
            let mut literals = Vec::new();
            for branch in branches {
                literals.extend(literal_set(branch)?);
                if literals.len() > LITERALS_MAX {
                    return None;
                }
            }
            Some(literals)
        }
        HirKind::Concat(parts) => {
            let mut literals = vec![String::new()];
            for part in parts {
                let tails = literal_set(part)?;
                if literals.len() * tails.len() > LITERALS_MAX {
                    return None;
                }
                literals = literals
                    .iter()
                    .flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}")))
                    .collect();
            }
            Some(literals)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn regex(pattern: &str) -> Matcher {
        Matcher::new("label", MatchOp::Regex, pattern).unwrap()
    }

    #[test]
    fn plain_regexes_do_not_reach_the_engine() {
        #[track_caller]
        fn check(pattern: &str, expect: &str) {
            assert_eq!(format!("{:?}", regex(pattern).pattern()), expect, "{pattern}");
        }
        check("", r#"Literals([""])"#);
        check("a", r#"Literals(["a"])"#);
        check("b|a|a", r#"Literals(["a", "b"])"#);
        check("a(b|c)d?", r#"Literals(["ab", "abd", "ac", "acd"])"#);
        check("node-[0-2]", r#"Literals(["node-0", "node-1", "node-2"])"#);
        check("kube.*", r#"Prefix("kube")"#);
        check(".*", "Anything");
        check(".+", "Something");
        check("a.+", r#"Regex("^(?s:a.+)$")"#);
    }

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

    proptest! {
        /// The shortcuts and the engine agree.
        #[test]
        fn patterns_match_what_their_regex_matches(
            pattern in r"(a|b|\.|\.\*|\.\+|\(a\|b\)|\[ab\]|a\?|\|){0,5}",
            value in "[ab.]{0,5}",
        ) {
            if let Ok(engine) = regex::Regex::new(&format!("^(?s:{pattern})$")) {
                prop_assert_eq!(regex(&pattern).matches(&value), engine.is_match(&value));
            }
        }
    }
}
