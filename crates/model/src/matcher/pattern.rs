//! What a regex says in plain words, where it does.
//!
//! ```text
//! a|b|c  node-[0-2]     one of some literals       looked up
//! .*  .+                anything, something
//! a.*                   what begins so             compared at the beginning
//! (a|b)-.+  .*c.*d      literals and gaps          compared at both ends, searched for in between
//! a.c  [^a]+            anything else              left to the regex engine
//! ```
//! Making a regex for the engine takes as long as matching a thousand values.
//!
//! - PATTERN-1: a pattern matches what its regex, anchored at both ends, matches.

use std::fmt;
use std::sync::Arc;

use regex_syntax::hir::{Class, Hir, HirKind};

use super::MatcherError;

/// No more literals than this are kept of one alternation; a larger one stays a regex.
const LITERALS_MAX: usize = 10_000;
/// Literals beside gaps are tried one by one.
const LITERALS_TRIED_MAX: usize = 64;
/// A regex may not compile to more than this.
const REGEX_BYTES_MAX: usize = 8 << 20;

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
    Gaps(Arc<Gaps>),
    Regex(regex::Regex),
}

/// One of some literals, then any characters, then one of other literals, and so on.
#[derive(Debug)]
pub struct Gaps {
    /// The value begins with one of these; shorter ones come first.
    first: Vec<String>,
    /// How many characters there are at least before the literals, one of which follows somewhere.
    between: Vec<(usize, Vec<String>)>,
    last_gap: usize,
    /// The value ends with one of these.
    last: Vec<String>,
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
            Self::Gaps(gaps) => gaps.matches(value).is_some(),
            Self::Regex(regex) => regex.is_match(value),
        }
    }

    pub(super) fn compile(pattern: &str) -> Result<Self, MatcherError> {
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

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literals(literals) => write!(f, "Literals({literals:?})"),
            Self::Prefix(prefix) => write!(f, "Prefix({prefix:?})"),
            Self::Anything => f.write_str("Anything"),
            Self::Something => f.write_str("Something"),
            Self::Gaps(gaps) => {
                write!(f, "{:?}", gaps.first)?;
                for (gap, literals) in &gaps.between {
                    write!(f, " {gap}.. {literals:?}")?;
                }
                write!(f, " {}.. {:?}", gaps.last_gap, gaps.last)
            }
            Self::Regex(regex) => write!(f, "Regex({:?})", regex.as_str()),
        }
    }
}

impl Gaps {
    /// Each literal is taken where it ends first, which leaves most for those behind it.
    fn matches(&self, value: &str) -> Option<()> {
        let mut rest =
            self.first.iter().find_map(|literal| value.strip_prefix(literal.as_str()))?;
        for (gap, literals) in &self.between {
            rest = after_gap(rest, *gap)?;
            let found = literals.iter().filter_map(|text| Some(rest.find(text)? + text.len()));
            rest = &rest[found.min()?..];
        }
        rest = after_gap(rest, self.last_gap)?;
        self.last.iter().any(|literal| rest.ends_with(literal.as_str())).then_some(())
    }
}

/// What is left of `text` behind so many characters.
fn after_gap(text: &str, characters: usize) -> Option<&str> {
    let mut rest = text.chars();
    (0..characters).try_for_each(|_| rest.next().map(drop))?;
    Some(rest.as_str())
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
        HirKind::Concat(parts) => {
            let mut gaps = literals_and_gaps(parts)?;
            let is_prefix = gaps.between.is_empty() && gaps.last_gap == 0 && gaps.last == [""];
            match (is_prefix, gaps.first.as_mut_slice()) {
                (true, [prefix]) => Some(Pattern::Prefix(std::mem::take(prefix))),
                _ => Some(Pattern::Gaps(Arc::new(gaps))),
            }
        }
        _ => None,
    }
}

fn literals_and_gaps(parts: &[Hir]) -> Option<Gaps> {
    let mut pieces = Vec::new();
    let (mut gap, mut at) = (0, 0);
    loop {
        let end = parts[at..].iter().position(|part| any_repetition(part).is_some());
        let end = end.map_or(parts.len(), |length| at + length);
        let literals = literal_product(&parts[at..end], LITERALS_TRIED_MAX)?;
        pieces.push((gap, literals));
        if end == parts.len() {
            break;
        }
        let gap_parts = parts[end..].iter().map_while(any_repetition);
        (gap, at) = (gap_parts.clone().sum::<u32>() as usize, end + gap_parts.count());
    }
    let (last_gap, last) = pieces.pop()?;
    let mut pieces = pieces.into_iter();
    let (_, mut first) = pieces.next()?;
    first.sort_by_key(String::len);
    Some(Gaps { first, between: pieces.collect(), last_gap, last })
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
        HirKind::Concat(parts) => literal_product(parts, LITERALS_MAX),
        _ => None,
    }
}

/// All strings that `parts` match one after the other, where those are no more than `max`.
fn literal_product(parts: &[Hir], max: usize) -> Option<Vec<String>> {
    let mut literals = vec![String::new()];
    for part in parts {
        let tails = literal_set(part)?;
        if literals.len() * tails.len() > max {
            return None;
        }
        literals = literals
            .iter()
            .flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}")))
            .collect();
    }
    Some(literals)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(regex: &str) -> Pattern {
        Pattern::compile(regex).unwrap()
    }

    #[test]
    fn plain_regexes_do_not_reach_the_engine() {
        #[track_caller]
        fn check(regex: &str, expect: &str) {
            assert_eq!(format!("{:?}", pattern(regex)), expect, "{regex}");
        }
        check("", r#"Literals([""])"#);
        check("a", r#"Literals(["a"])"#);
        check("b|a|a", r#"Literals(["a", "b"])"#);
        check("a(b|c)d?", r#"Literals(["ab", "abd", "ac", "acd"])"#);
        check("node-[0-2]", r#"Literals(["node-0", "node-1", "node-2"])"#);
        check("kube.*", r#"Prefix("kube")"#);
        check(".*", "Anything");
        check(".+", "Something");
        check("a.+", r#"["a"] 1.. [""]"#);
        check("(cart|orders)-.*", r#"["cart-", "orders-"] 0.. [""]"#);
        check(".*-db", r#"[""] 0.. ["-db"]"#);
        check(".*a.*.+(b|c).+", r#"[""] 0.. ["a"] 1.. ["b", "c"] 1.. [""]"#);
        check("a.b", r#"Regex("^(?s:a.b)$")"#);
        check("[a-z][a-z][a-z].*", r#"Regex("^(?s:[a-z][a-z][a-z].*)$")"#); // too many to try
    }

    proptest! {
        /// PATTERN-1.
        #[test]
        fn patterns_match_what_their_regex_matches(
            regex in r"(a|b|é|\.|\.\*|\.\+|\(a\|b\)|\(ab\|b\)|\[ab\]|a\?|\|){0,7}",
            values in prop::collection::vec("[abé.]{0,7}", 1..8),
        ) {
            if let Ok(engine) = regex::Regex::new(&format!("^(?s:{regex})$")) {
                for value in values {
                    let expect = engine.is_match(&value);
                    prop_assert_eq!(pattern(&regex).matches(&value), expect, "{:?}", value);
                }
            }
        }
    }
}
