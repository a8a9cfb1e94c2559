//! Refuses trees that the grammar allows and the types do not.
//!
//! Source: Prometheus `promql/parser/parse.go`, `checkAST`; the order of the checks is its, so that
//! the first error is the same.

use std::fmt;

use model::METRIC_NAME;

use crate::ast::{
    Aggregate, AggregateOp, Binary, Call, Cardinality, Expr, ValueType, VectorSelector,
};
use crate::functions::Optional;
use crate::position::{ParseError, Position};

type Checked = Result<(), ParseError>;

pub(super) fn check(query: &str, expr: &Expr) -> Checked {
    Check { query }.expr(expr)
}

struct Check<'a> {
    query: &'a str,
}

impl Check<'_> {
    fn expr(&self, expr: &Expr) -> Checked {
        match expr {
            Expr::Number(_) | Expr::String(_) => Ok(()),
            Expr::Paren(paren) => self.expr(&paren.inner),
            Expr::Unary(unary) => {
                self.expr(&unary.inner)?;
                match unary.inner.value_type() {
                    ValueType::Scalar | ValueType::Vector => Ok(()),
                    other => {
                        let message = "unary expression only allowed on expressions of type scalar \
                                       or instant vector";
                        let other = other.documented();
                        self.fail(expr.position(), format!("{message}, got {other:?}"))
                    }
                }
            }
            Expr::Binary(binary) => self.binary(binary, expr.position()),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Call(call) => self.call(call),
            Expr::Vector(selector) => self.vector(selector, false),
            Expr::Matrix(selector) => self.vector(&selector.vector, false),
            Expr::Subquery(subquery) => {
                self.expr(&subquery.inner)?;
                match subquery.inner.value_type() {
                    ValueType::Vector => Ok(()),
                    other => {
                        let message = "subquery is only allowed on instant vector, got";
                        let message = format!("{message} {} instead", other.as_str());
                        self.fail(expr.position(), message)
                    }
                }
            }
        }
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Checked {
        self.expect(&aggregate.inner, ValueType::Vector, "aggregation expression")?;
        let wanted = match aggregate.op {
            AggregateOp::CountValues => ValueType::String,
            _ => ValueType::Scalar,
        };
        match &aggregate.parameter {
            Some(parameter) => self.expect(parameter, wanted, "aggregation parameter"),
            None => Ok(()),
        }
    }

    fn binary(&self, binary: &Binary, whole: Position) -> Checked {
        let Binary { op, lhs, rhs, matching, .. } = binary;
        self.expr(lhs)?;
        self.expr(rhs)?;
        let (left, right) = (lhs.value_type(), rhs.value_type());
        if binary.returns_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            return self.fail(self.operator(binary), message);
        }
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        if op.is_comparison() && !binary.returns_bool && scalars {
            let message = "comparisons between scalars must use BOOL modifier";
            return self.fail(self.operator(binary), message);
        }
        if let Some(label) = matching.labels.iter().find(|l| matching.include.contains(l))
            && matching.on
        {
            let message = format!("label {label:?} must not occur in ON and GROUP clause at once");
            return self.fail(self.operator(binary), message);
        }
        for (side, value) in [(lhs, left), (rhs, right)] {
            if !matches!(value, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.fail(side.position(), message);
            }
        }
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        let with_scalar = left == ValueType::Scalar || right == ValueType::Scalar;
        if with_scalar {
            if !matching.labels.is_empty() {
                let message = "vector matching only allowed between instant vectors";
                return self.fail(whole, message);
            }
            if fills {
                let message = "filling in missing series only allowed between instant vectors";
                return self.fail(whole, message);
            }
            if op.is_set() {
                let message =
                    format!("set operator \"{op}\" not allowed in binary scalar expression");
                return self.fail(whole, message);
            }
        } else if op.is_set() {
            if matching.cardinality != Cardinality::OneToOne {
                return self.fail(whole, format!("no grouping allowed for \"{op}\" operation"));
            }
            if fills {
                let message = "filling in missing series not allowed for set operators";
                return self.fail(whole, message);
            }
        }
        Ok(())
    }

    fn call(&self, call: &Call) -> Checked {
        let function = call.function;
        let (name, got) = (function.name, call.args.len());
        let required = function.args.len() - usize::from(function.optional != Optional::No);
        let wrong = match function.optional {
            Optional::No if got != required => Some(format!("{required}")),
            _ if got < required => Some(format!("at least {required}")),
            Optional::UpTo(more) if got > required + more => {
                Some(format!("at most {}", required + more))
            }
            _ => None,
        };
        if let Some(wanted) = wrong {
            let message = format!("expected {wanted} argument(s) in call to {name:?}, got {got}");
            return self.fail(call.position, message);
        }
        if name == "info" {
            self.info_selector(call)?;
        }
        for (index, arg) in call.args.iter().enumerate() {
            match arg {
                Expr::Vector(selector) if name == "info" && index == 1 => {
                    self.vector(selector, true)?;
                }
                arg => self.expr(arg)?,
            }
            let wanted = function.args[index.min(function.args.len() - 1)];
            let got = arg.value_type();
            if got != wanted {
                let (wanted, got) = (wanted.documented(), got.documented());
                let message =
                    format!("expected type {wanted} in call to function {name:?}, got {got}");
                return self.fail(arg.position(), message);
            }
        }
        Ok(())
    }

    /// The second argument of `info` is a selector without a name.
    fn info_selector(&self, call: &Call) -> Checked {
        match call.args.get(1) {
            None => Ok(()),
            Some(Expr::Vector(selector)) if selector.name.is_none() => Ok(()),
            Some(arg @ Expr::Vector(_)) => {
                let message = "expected label selectors only, got vector selector instead";
                self.fail(arg.position(), message)
            }
            Some(arg) if arg.value_type() != ValueType::Vector => {
                let got = arg.value_type().documented();
                let message =
                    format!("expected type instant vector in call to function \"info\", got {got}");
                self.fail(call.position, message)
            }
            Some(arg) => self.fail(arg.position(), "expected label selectors only"),
        }
    }

    fn vector(&self, selector: &VectorSelector, may_match_all: bool) -> Checked {
        if let Some(name) = &selector.name {
            let braces = &selector.matchers[..selector.matchers.len() - 1];
            if let Some(second) = braces.iter().find(|m| m.name() == METRIC_NAME) {
                let second = second.value();
                let message = format!("metric name must not be set twice: {name:?} or {second:?}");
                return self.fail(selector.position, message);
            }
            return Ok(());
        }
        if !may_match_all && selector.matchers.iter().all(model::Matcher::matches_empty) {
            let message = "vector selector must contain at least one non-empty matcher";
            return self.fail(selector.position, message);
        }
        Ok(())
    }

    fn expect(&self, expr: &Expr, wanted: ValueType, context: &str) -> Checked {
        self.expr(expr)?;
        let got = expr.value_type();
        if got == wanted {
            return Ok(());
        }
        let (wanted, got) = (wanted.documented(), got.documented());
        self.fail(expr.position(), format!("expected type {wanted} in {context}, got {got}"))
    }

    /// Where the operator between the operands stands.
    fn operator(&self, binary: &Binary) -> Position {
        let (start, end) = (binary.lhs.position().end, binary.rhs.position().start);
        let between = &self.query[start..end];
        let blanks = between.len() - between.trim_start().len();
        Position::new(start + blanks, start + between.trim_end().len())
    }

    fn fail(&self, position: Position, message: impl fmt::Display) -> Checked {
        Err(ParseError::new(self.query, position, message.to_string()))
    }
}
