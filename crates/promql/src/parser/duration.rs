//! Lengths of time in brackets and after `offset`: literals, and arithmetic over them.

use super::{NESTING_MAX, Parsed, Parser};
use crate::ast::{BinaryOp, DurationExpr, DurationKind, Span};
use crate::lexer::{Keyword, Kind};
use crate::position::ParseError;

/// Prometheus counts nanoseconds in 64 bits.
const SECONDS_MAX: f64 = (1u64 << 63) as f64 / 1e9;

/// Whose duration it is, and what is expected of it: the words of errors.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Range,
    Step,
    Offset,
}

impl Role {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Range => ("subquery or range selector", "number, duration, step(), or range()"),
            Self::Step => ("subquery selector", "number, duration, step(), range(), or \"]\""),
            Self::Offset => ("offset", "number, duration, step(), or range()"),
        }
    }
}

impl Parser<'_> {
    /// A range or a step: more than nothing, if that can be told already.
    pub(super) fn positive_span(&mut self, role: Role) -> Parsed<Span> {
        let expr = self.duration_expr(0, role)?;
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
        let start = self.position();
        let negative = self.kind() == Kind::Operator(BinaryOp::Sub);
        if !negative && self.kind() != Kind::Operator(BinaryOp::Add) {
            return Ok(fold(self.duration_atom(Role::Offset)?));
        }
        self.advance();
        let inner = Box::new(self.duration_atom(Role::Offset)?);
        let position = start.to(inner.position);
        let kind = if negative { DurationKind::Negative } else { DurationKind::Positive };
        Ok(fold(DurationExpr { kind: kind(inner), position }))
    }

    fn duration_expr(&mut self, precedence: u8, role: Role) -> Parsed<DurationExpr> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(self.error(self.position(), "expression is nested too deeply"));
        }
        let mut lhs = self.duration_atom(role)?;
        while let Kind::Operator(op) = self.kind() {
            if op.precedence() < precedence {
                break;
            }
            self.count_operator()?;
            let operator = self.advance().position;
            let tighter = op.precedence() + u8::from(op != BinaryOp::Pow);
            let rhs = self.duration_expr(tighter, role)?;
            let by_zero = match op {
                BinaryOp::Div => Some("division by zero"),
                BinaryOp::Mod => Some("modulo by zero"),
                _ => None,
            };
            if let (Some(message), Some(0.0)) = (by_zero, literal(&rhs)) {
                return Err(self.error(operator, message));
            }
            let position = lhs.position.to(rhs.position);
            let kind = DurationKind::Binary(op, Box::new(lhs), Box::new(rhs));
            lhs = DurationExpr { kind, position };
        }
        self.depth -= 1;
        Ok(lhs)
    }

    fn duration_atom(&mut self, role: Role) -> Parsed<DurationExpr> {
        let start = self.position();
        let kind = match self.kind() {
            Kind::Number | Kind::Duration => {
                let number = self.number()?;
                if number.value.abs() > SECONDS_MAX {
                    return Err(self.error(number.position, "duration out of range"));
                }
                DurationKind::Literal(number)
            }
            Kind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.advance();
                let inner = Box::new(self.duration_expr(BinaryOp::Pow.precedence(), role)?);
                match op {
                    BinaryOp::Sub => DurationKind::Negative(inner),
                    _ => DurationKind::Positive(inner),
                }
            }
            Kind::LeftParen => {
                self.advance();
                let inner = self.duration_expr(0, role)?;
                self.take_of_duration(Kind::RightParen, role)?;
                DurationKind::Paren(Box::new(inner))
            }
            Kind::Keyword(keyword) => self.duration_function(keyword, role)?,
            _ => return Err(self.unexpected_in_duration(role)),
        };
        Ok(DurationExpr { kind, position: start.to(self.previous_position()) })
    }

    fn duration_function(&mut self, keyword: Keyword, role: Role) -> Parsed<DurationKind> {
        if !matches!(keyword, Keyword::Step | Keyword::Range | Keyword::MinOf | Keyword::MaxOf) {
            return Err(self.unexpected_in_duration(role));
        }
        self.advance();
        self.take_of_duration(Kind::LeftParen, role)?;
        let kind = match keyword {
            Keyword::Step => DurationKind::Step,
            Keyword::Range => DurationKind::Range,
            _ => {
                let left = Box::new(self.duration_expr(0, role)?);
                self.take_of_duration(Kind::Comma, role)?;
                let right = Box::new(self.duration_expr(0, role)?);
                match keyword {
                    Keyword::MinOf => DurationKind::Min(left, right),
                    _ => DurationKind::Max(left, right),
                }
            }
        };
        self.take_of_duration(Kind::RightParen, role)?;
        Ok(kind)
    }

    fn take_of_duration(&mut self, kind: Kind, role: Role) -> Parsed<()> {
        if self.taken(kind) { Ok(()) } else { Err(self.unexpected_in_duration(role)) }
    }

    fn unexpected_in_duration(&self, role: Role) -> ParseError {
        let (context, expected) = role.words();
        self.unexpected_in(context, expected)
    }
}

/// The seconds of a number with or without a sign.
fn literal(expr: &DurationExpr) -> Option<f64> {
    let (sign, expr) = match &expr.kind {
        DurationKind::Negative(inner) => (-1.0, &**inner),
        DurationKind::Positive(inner) => (1.0, &**inner),
        _ => (1.0, expr),
    };
    match &expr.kind {
        DurationKind::Literal(number) => Some(sign * number.value),
        _ => None,
    }
}

/// A signed literal is a number of milliseconds; all else waits for the query's step and range.
fn fold(expr: DurationExpr) -> Span {
    match literal(&expr) {
        Some(seconds) if !seconds.is_nan() => Span::Millis((seconds * 1000.0).round() as i64),
        _ => Span::Expr(Box::new(expr)),
    }
}
