//! Writes a tree as PromQL: the canonical text of a query.
//!
//! - PRINT-1: what is written reads back as the same tree.
//! - Source: Prometheus `promql/parser/printer.go`.

use std::fmt::{self, Display, Formatter, Write as _};
use std::time::Duration;

use model::labels::is_legacy_label_name;
use model::{METRIC_NAME, MatchOp};

use crate::ast::{
    Aggregate, At, Binary, Cardinality, DurationExpr, DurationKind, Expr, Extension, Modifiers,
    NumberLiteral, Span, StringLiteral, Subquery, VectorSelector,
};
use crate::number::{Fixed, format_value};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::String(string) => string.fmt(f),
            Self::Paren(paren) => write!(f, "({})", paren.inner),
            Self::Unary(unary) if unary.negative => write!(f, "-{}", unary.inner),
            Self::Unary(unary) => {
                // `+Inf ^ x` has its sign already.
                let inner = unary.inner.to_string();
                let sign = if inner.starts_with('+') { "" } else { "+" };
                write!(f, "{sign}{inner}")
            }
            Self::Binary(binary) => binary.fmt(f),
            Self::Aggregate(aggregate) => aggregate.fmt(f),
            Self::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                separated(f, &call.args)?;
                f.write_char(')')
            }
            Self::Vector(selector) => {
                series(f, selector)?;
                at(f, &selector.time)?;
                extension(f, selector.extension)?;
                offset(f, &selector.time)
            }
            Self::Matrix(selector) => {
                series(f, &selector.vector)?;
                write!(f, "[{}]", selector.range)?;
                extension(f, selector.vector.extension)?;
                at(f, &selector.vector.time)?;
                offset(f, &selector.vector.time)
            }
            Self::Subquery(subquery) => subquery.fmt(f),
        }
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.is_duration {
            return f.write_str(&format_value(self.value));
        }
        let sign = if self.value < 0.0 { "-" } else { "" };
        let length = Duration::from_secs_f64(self.value.abs());
        write!(f, "{sign}{}", model::duration::format(length))
    }
}

impl Display for StringLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_utf8 { Quoted(&self.value).fmt(f) } else { f.write_str(&self.source) }
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.lhs, Operator(self), self.rhs)
    }
}

/// What stands between the operands.
pub(crate) struct Operator<'a>(pub(crate) &'a Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Binary { op, returns_bool, matching, .. } = self.0;
        f.write_str(op.as_str())?;
        if *returns_bool {
            f.write_str(" bool")?;
        }
        let grouped = matching.cardinality != Cardinality::OneToOne;
        if !matching.labels.is_empty() || matching.on || grouped {
            f.write_str(if matching.on { " on (" } else { " ignoring (" })?;
            labels(f, &matching.labels)?;
            f.write_char(')')?;
        }
        if grouped {
            let side =
                if matching.cardinality == Cardinality::ManyToOne { "left" } else { "right" };
            write!(f, " group_{side} (")?;
            labels(f, &matching.include)?;
            f.write_char(')')?;
        }
        match (matching.fill_left, matching.fill_right) {
            (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
                write!(f, " fill ({})", format_value(left))?;
            }
            (left, right) => {
                if let Some(left) = left {
                    write!(f, " fill_left ({})", format_value(left))?;
                }
                if let Some(right) = right {
                    write!(f, " fill_right ({})", format_value(right))?;
                }
            }
        }
        Ok(())
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", Aggregation(self))?;
        if let Some(parameter) = &self.parameter {
            write!(f, "{parameter}, ")?;
        }
        write!(f, "{})", self.inner)
    }
}

/// What stands before the parentheses: the operation and the grouping.
pub(crate) struct Aggregation<'a>(pub(crate) &'a Aggregate);

impl Display for Aggregation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Aggregate { op, grouping, without, .. } = self.0;
        f.write_str(op.as_str())?;
        if *without || !grouping.is_empty() {
            f.write_str(if *without { " without (" } else { " by (" })?;
            labels(f, grouping)?;
            f.write_str(") ")?;
        }
        Ok(())
    }
}

impl Display for Subquery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.inner, Window(self))
    }
}

/// What stands after the expression: range, step, and at which time.
pub(crate) struct Window<'a>(pub(crate) &'a Subquery);

impl Display for Window<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Subquery { range, step, time, .. } = self.0;
        write!(f, "[{range}:")?;
        if let Some(step) = step {
            step.fmt(f)?;
        }
        f.write_char(']')?;
        at(f, time)?;
        offset(f, time)
    }
}

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis(millis) => {
                let sign = if *millis < 0 { "-" } else { "" };
                let length = Duration::from_millis(millis.unsigned_abs());
                write!(f, "{sign}{}", model::duration::format(length))
            }
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Literal(number) => number.fmt(f),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::Paren(inner) => write!(f, "({inner})"),
            DurationKind::Negative(inner) => write!(f, "-{inner}"),
            DurationKind::Positive(inner) => inner.fmt(f),
            DurationKind::Min(left, right) => write!(f, "min_of({left}, {right})"),
            DurationKind::Max(left, right) => write!(f, "max_of({left}, {right})"),
            DurationKind::Binary(op, left, right) => write!(f, "{left} {op} {right}"),
        }
    }
}

/// The name and the matchers, sorted.
fn series(f: &mut Formatter<'_>, selector: &VectorSelector) -> fmt::Result {
    let name = selector.name.as_deref();
    f.write_str(name.unwrap_or_default())?;
    let is_name = |m: &&model::Matcher| {
        m.name() == METRIC_NAME && m.op() == MatchOp::Equal && name == Some(m.value())
    };
    let mut matchers: Vec<String> =
        selector.matchers.iter().filter(|m| !is_name(m)).map(ToString::to_string).collect();
    matchers.sort_unstable();
    if matchers.is_empty() && name.is_some() {
        return Ok(());
    }
    write!(f, "{{{}}}", matchers.join(","))
}

fn at(f: &mut Formatter<'_>, time: &Modifiers) -> fmt::Result {
    match time.at {
        None => Ok(()),
        Some(At::Millis(millis)) => write!(f, " @ {}", Fixed(millis as f64 / 1000.0, 3)),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
    }
}

fn offset(f: &mut Formatter<'_>, time: &Modifiers) -> fmt::Result {
    match &time.offset {
        None | Some(Span::Millis(0)) => Ok(()),
        Some(offset) => write!(f, " offset {offset}"),
    }
}

fn extension(f: &mut Formatter<'_>, extension: Extension) -> fmt::Result {
    f.write_str(match extension {
        Extension::None => "",
        Extension::Anchored => " anchored",
        Extension::Smoothed => " smoothed",
    })
}

fn labels(f: &mut Formatter<'_>, names: &[String]) -> fmt::Result {
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        if is_legacy_label_name(name) {
            f.write_str(name)?;
        } else {
            Quoted(name).fmt(f)?;
        }
    }
    Ok(())
}

fn separated(f: &mut Formatter<'_>, exprs: &[Expr]) -> fmt::Result {
    for (index, expr) in exprs.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        expr.fmt(f)?;
    }
    Ok(())
}

/// Text in double quotes, as Go's `%q`.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\x07' => f.write_str("\\a")?,
                '\x08' => f.write_str("\\b")?,
                '\x0c' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\x0b' => f.write_str("\\v")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}
