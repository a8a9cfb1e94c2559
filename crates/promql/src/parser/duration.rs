//! Lengths of time in brackets and after `offset`: literals, and arithmetic over them.

use super::{NESTING_MAX, Parsed, Parser};
use crate::ast::{BinaryOp, DurationExpr, DurationKind, Span};
use crate::lexer::{Keyword, Kind};

const EXPECTED: &str = "number, duration, step(), or range()";

impl Parser<'_> {
    /// A range or a step: more than nothing, if that can be told already.
    pub(super) fn positive_span(&mut self, context: &'static str, also: &str) -> Parsed<Span> {
        let expr = self.duration_expr(0, context, also)?;
        let position = expr.position;
        let span = fold(expr);
        match span {
            Span::Millis(millis) if millis <= 0 => {
                Err(self.error(position, "duration must be greater than 0"))
            }
            span => Ok(span),
        }
    }

    /// What follows `offset`: one signed literal, function or parenthesis; an operator after it
    /// belongs to the expression around.
    pub(super) fn offset_span(&mut self) -> Parsed<Span> {
        Ok(fold(self.duration_atom("offset", "")?))
    }

    fn duration_expr(
        &mut self,
        precedence: u8,
        context: &'static str,
        also: &str,
    ) -> Parsed<DurationExpr> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(self.error(self.position(), "expression is nested too deeply"));
        }
        let mut lhs = self.duration_atom(context, also)?;
        while let Kind::Operator(op) = self.kind() {
            if op.precedence() < precedence {
                break;
            }
            self.count_operator()?;
            self.advance();
            let tighter = op.precedence() + u8::from(op != BinaryOp::Pow);
            let rhs = self.duration_expr(tighter, context, also)?;
            let position = lhs.position.to(rhs.position);
            let kind = DurationKind::Binary(op, Box::new(lhs), Box::new(rhs));
            lhs = DurationExpr { kind, position };
        }
        self.depth -= 1;
        Ok(lhs)
    }

    fn duration_atom(&mut self, context: &'static str, also: &str) -> Parsed<DurationExpr> {
        let start = self.position();
        let kind = match self.kind() {
            Kind::Number | Kind::Duration => DurationKind::Literal(self.number()?),
            Kind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.advance();
                let inner = match context {
                    "offset" => Box::new(self.duration_atom(context, also)?),
                    _ => {
                        let tight = BinaryOp::Pow.precedence();
                        Box::new(self.duration_expr(tight, context, also)?)
                    }
                };
                match op {
                    BinaryOp::Sub => DurationKind::Negative(inner),
                    _ => DurationKind::Positive(inner),
                }
            }
            Kind::LeftParen => {
                self.advance();
                let inner = self.duration_expr(0, "duration expression", "")?;
                self.take(Kind::RightParen)?;
                DurationKind::Paren(Box::new(inner))
            }
            Kind::Keyword(keyword @ (Keyword::Step | Keyword::Range)) => {
                self.advance();
                self.take(Kind::LeftParen)?;
                self.take(Kind::RightParen)?;
                if keyword == Keyword::Step { DurationKind::Step } else { DurationKind::Range }
            }
            Kind::Keyword(keyword @ (Keyword::MinOf | Keyword::MaxOf)) => {
                self.advance();
                self.take(Kind::LeftParen)?;
                let left = Box::new(self.duration_expr(0, "duration expression", "")?);
                self.take(Kind::Comma)?;
                let right = Box::new(self.duration_expr(0, "duration expression", "")?);
                self.take(Kind::RightParen)?;
                match keyword {
                    Keyword::MinOf => DurationKind::Min(left, right),
                    _ => DurationKind::Max(left, right),
                }
            }
            _ => return Err(self.unexpected_in(context, &format!("{EXPECTED}{also}"))),
        };
        Ok(DurationExpr { kind, position: start.to(self.previous_position()) })
    }
}

/// A signed literal is a number of milliseconds; all else waits for the query's step and range.
fn fold(expr: DurationExpr) -> Span {
    let seconds = match &expr.kind {
        DurationKind::Literal(number) => Some(number.value),
        DurationKind::Negative(inner) => match &inner.kind {
            DurationKind::Literal(number) => Some(-number.value),
            _ => None,
        },
        DurationKind::Positive(inner) => match &inner.kind {
            DurationKind::Literal(number) => Some(number.value),
            _ => None,
        },
        _ => None,
    };
    match seconds {
        // Prometheus counts nanoseconds in 64 bits.
        Some(seconds) if seconds.abs() < 9.2e9 => Span::Millis((seconds * 1000.0).round() as i64),
        _ => Span::Expr(Box::new(expr)),
    }
}
