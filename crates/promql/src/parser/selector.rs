//! Selectors and what may follow them.

use model::{METRIC_NAME, MatchOp, Matcher};

use super::duration::Role;
use super::{Parsed, Parser};
use crate::ast::{
    At, BinaryOp, Expr, Extension, MatrixSelector, Modifiers, Subquery, VectorSelector,
};
use crate::lexer::{Keyword, Kind};
use crate::position::Position;

const MATCHING: &str = "label matching";

impl Parser<'_> {
    /// `name{matchers}`, or one half of it.
    pub(super) fn vector_selector(&mut self) -> Parsed<VectorSelector> {
        let start = self.position();
        let mut position = start;
        let name = self.metric_name();
        let mut matchers = Vec::new();
        if self.kind() == Kind::LeftBrace {
            matchers = self.matchers()?;
            position = start.to(self.previous_position());
        } else if name.is_none() {
            return Err(self.unexpected(""));
        }
        if let Some(name) = &name {
            matchers.push(Matcher::equal(METRIC_NAME, name.as_str()));
        }
        let time = Modifiers::default();
        Ok(VectorSelector { name, matchers, time, extension: Extension::None, position })
    }

    /// A word that may name a metric; many keywords may.
    fn metric_name(&mut self) -> Option<String> {
        let is_name = match self.kind() {
            Kind::Identifier | Kind::MetricIdentifier | Kind::Aggregate(_) => true,
            Kind::Operator(op) => op.is_set(),
            Kind::Keyword(keyword) => !matches!(
                keyword,
                Keyword::Bool
                    | Keyword::On
                    | Keyword::Ignoring
                    | Keyword::GroupLeft
                    | Keyword::GroupRight
            ),
            _ => false,
        };
        is_name.then(|| self.take_text())
    }

    fn matchers(&mut self) -> Parsed<Vec<Matcher>> {
        self.take(Kind::LeftBrace)?;
        let mut matchers = Vec::new();
        while !self.taken(Kind::RightBrace) {
            matchers.push(self.matcher()?);
            if !self.taken(Kind::Comma) && self.kind() != Kind::RightBrace {
                return Err(self.unexpected_in(MATCHING, "\",\" or \"}\""));
            }
        }
        Ok(matchers)
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let start = self.position();
        let quoted = self.kind() == Kind::String;
        let label = match self.kind() {
            Kind::String => self.string()?.value,
            Kind::Identifier => self.take_text(),
            _ => return Err(self.unexpected_in(MATCHING, "identifier or \"}\"")),
        };
        let op = match self.kind() {
            Kind::Equal => MatchOp::Equal,
            Kind::EqualRegex => MatchOp::Regex,
            Kind::NotRegex => MatchOp::NotRegex,
            Kind::Operator(BinaryOp::NotEqual) => MatchOp::NotEqual,
            // A quoted name alone names the metric.
            Kind::Comma | Kind::RightBrace if quoted => {
                return Ok(Matcher::equal(METRIC_NAME, label));
            }
            _ => return Err(self.unexpected_in(MATCHING, "label matching operator")),
        };
        self.advance();
        if self.kind() != Kind::String {
            return Err(self.unexpected_in(MATCHING, "string"));
        }
        let position = start.to(self.position());
        let value = self.string()?.value;
        Matcher::new(label, op, value).map_err(|reason| self.error(position, reason))
    }

    /// `[range]` or `[range:step]` after `expr`.
    pub(super) fn range_or_subquery(&mut self, expr: Expr) -> Parsed<Expr> {
        let left = self.take(Kind::LeftBracket)?.position;
        let range = self.positive_span(Role::Range)?;
        if self.taken(Kind::Colon) {
            let step = match self.kind() {
                Kind::RightBracket => None,
                _ => Some(self.positive_span(Role::Step)?),
            };
            if self.kind() != Kind::RightBracket {
                return Err(self.unexpected_in("subquery selector", "\"]\""));
            }
            let end = self.advance().position.end;
            let time = Modifiers::default();
            return Ok(Expr::Subquery(Box::new(Subquery { inner: expr, range, step, time, end })));
        }
        if self.kind() != Kind::RightBracket {
            return Err(self.unexpected_in("subquery or range", "\":\" or \"]\""));
        }
        let right = self.advance().position;
        let brackets = left.to(right);
        let Expr::Vector(vector) = expr else {
            return Err(self.error(brackets, "ranges only allowed for vector selectors"));
        };
        if vector.time.offset.is_some() {
            return Err(self.error(brackets, "no offset modifiers allowed before range"));
        }
        if vector.time.at.is_some() {
            return Err(self.error(brackets, "no @ modifiers allowed before range"));
        }
        Ok(Expr::Matrix(MatrixSelector { vector, range, end: right.end }))
    }

    /// `offset 5m` after `expr`.
    pub(super) fn offset_modifier(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.advance();
        let offset = self.offset_span()?;
        let (position, end) = (expr.position(), self.previous_position().end);
        let Some(time) = modifiers(expr, end) else {
            let message = "offset modifier must be preceded by an instant vector selector or range \
                           vector selector or a subquery";
            return Err(self.error(position, message));
        };
        if time.offset.is_some() {
            return Err(self.error(position, "offset may not be set multiple times"));
        }
        time.offset = Some(offset);
        Ok(())
    }

    /// `@ 1609746000`, `@ start()` or `@ end()` after `expr`.
    pub(super) fn at_modifier(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.advance();
        let at = match self.kind() {
            Kind::Keyword(keyword @ (Keyword::Start | Keyword::End)) => {
                self.advance();
                for paren in [Kind::LeftParen, Kind::RightParen] {
                    if !self.taken(paren) {
                        return Err(self.unexpected_in("@", "timestamp"));
                    }
                }
                if keyword == Keyword::Start { At::Start } else { At::End }
            }
            _ => At::Millis(self.at_timestamp(expr.position())?),
        };
        let (position, end) = (expr.position(), self.previous_position().end);
        let Some(time) = modifiers(expr, end) else {
            let message = "@ modifier must be preceded by an instant vector selector or range \
                           vector selector or a subquery";
            return Err(self.error(position, message));
        };
        if time.at.is_some() {
            return Err(self.error(position, "@ <timestamp> may not be set multiple times"));
        }
        time.at = Some(at);
        Ok(())
    }

    fn at_timestamp(&mut self, selector: Position) -> Parsed<i64> {
        let negative = self.taken(Kind::Operator(BinaryOp::Sub));
        if !negative {
            self.taken(Kind::Operator(BinaryOp::Add));
        }
        if !matches!(self.kind(), Kind::Number | Kind::Duration) {
            return Err(self.unexpected_in("@", "timestamp"));
        }
        let seconds = self.number()?.value;
        let seconds = if negative { -seconds } else { seconds };
        if !seconds.is_finite() || seconds.abs() >= i64::MAX as f64 {
            let seconds = crate::number::Fixed(seconds, 6);
            let message = format!("timestamp out of bounds for @ modifier: {seconds}");
            return Err(self.error(selector, message));
        }
        Ok((seconds * 1000.0).round() as i64)
    }

    /// `anchored` or `smoothed` after `expr`.
    pub(super) fn extension(&mut self, expr: &mut Expr, keyword: Keyword) -> Parsed<()> {
        let (word, extension) = match keyword {
            Keyword::Anchored => ("anchored", Extension::Anchored),
            _ => ("smoothed", Extension::Smoothed),
        };
        self.advance();
        let position = expr.position();
        if !self.features.extended_range_selectors {
            let message = format!("{word} modifier is experimental and not enabled");
            return Err(self.error(position, message));
        }
        let selector = match expr {
            Expr::Vector(selector) => selector,
            Expr::Matrix(selector) => &mut selector.vector,
            Expr::Subquery(_) => {
                let message = format!("{word} modifier is not supported for subqueries");
                return Err(self.error(position, message));
            }
            _ => return Err(self.error(position, format!("{word} modifier not implemented"))),
        };
        if selector.extension != Extension::None && selector.extension != extension {
            let message = "anchored and smoothed modifiers cannot be used together";
            return Err(self.error(position, message));
        }
        selector.extension = extension;
        Ok(())
    }
}

/// The time modifiers of a selector or subquery, which from now on ends at `end`.
fn modifiers(expr: &mut Expr, end: usize) -> Option<&mut Modifiers> {
    match expr {
        Expr::Vector(selector) => {
            selector.position.end = end;
            Some(&mut selector.time)
        }
        Expr::Matrix(selector) => {
            selector.end = end;
            Some(&mut selector.vector.time)
        }
        Expr::Subquery(subquery) => {
            subquery.end = end;
            Some(&mut subquery.time)
        }
        _ => None,
    }
}
