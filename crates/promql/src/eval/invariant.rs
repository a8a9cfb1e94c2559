//! Which parts of a tree have the same value at all times of a query.
//!
//! Source: Prometheus `promql/engine.go`, `PreprocessExpr`.

use crate::ast::Expr;

/// These depend on the time of evaluation even where their arguments do not.
const TIME_DEPENDENT: [&str; 11] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "time",
    "timestamp",
    "year",
];

/// Whether any selector or subquery of `expr` is pinned to one time.
pub(super) fn has_at(expr: &Expr) -> bool {
    match expr {
        Expr::Vector(selector) => selector.time.at.is_some(),
        Expr::Matrix(selector) => selector.vector.time.at.is_some(),
        Expr::Subquery(subquery) => subquery.time.at.is_some() || has_at(&subquery.inner),
        other => other.children().into_iter().any(has_at),
    }
}

pub(super) fn is_invariant(expr: &Expr) -> bool {
    match expr {
        Expr::Vector(selector) => selector.time.at.is_some(),
        Expr::Matrix(selector) => selector.vector.time.at.is_some(),
        Expr::Subquery(subquery) => subquery.time.at.is_some(),
        Expr::Call(call) => {
            !TIME_DEPENDENT.contains(&call.function.name) && call.args.iter().all(is_invariant)
        }
        other => other.children().into_iter().all(is_invariant),
    }
}
