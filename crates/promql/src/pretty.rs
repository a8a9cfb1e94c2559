//! Writes a tree as PromQL over several lines, for people to read.
//!
//! What fits a line of [`LINE_MAX`] characters stays on one; of what does not, each part goes on
//! lines of its own, indented by its depth.
//!
//! - PRETTY-1: what is written reads back as the same tree.
//! - Source: Prometheus `promql/parser/prettier.go`.

use crate::ast::Expr;
use crate::printer::{Aggregation, Operator, Window};

/// Not counting the indentation.
const LINE_MAX: usize = 100;
const INDENT: &str = "  ";

pub fn pretty(expr: &Expr) -> String {
    indented(expr, 0)
}

fn indented(expr: &Expr, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let line = expr.to_string();
    if line.len() <= LINE_MAX {
        return indent + &line;
    }
    match expr {
        Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => indent + &line,
        Expr::Paren(paren) => {
            let inner = indented(&paren.inner, level + 1);
            format!("{indent}(\n{inner}\n{indent})")
        }
        Expr::Unary(unary) => {
            let inner = indented(&unary.inner, level);
            let sign = if unary.negative { '-' } else { '+' };
            format!("{indent}{sign}{}", inner.trim_start())
        }
        Expr::Binary(binary) => {
            let lhs = indented(&binary.lhs, level + 1);
            let rhs = indented(&binary.rhs, level + 1);
            format!("{lhs}\n{indent}{}\n{rhs}", Operator(binary))
        }
        Expr::Aggregate(aggregate) => {
            let args = aggregate.parameter.iter().chain([&aggregate.inner]);
            format!("{indent}{}(\n{}\n{indent})", Aggregation(aggregate), lines(args, level + 1))
        }
        Expr::Call(call) => {
            let args = lines(call.args.iter(), level + 1);
            format!("{indent}{}(\n{args}\n{indent})", call.function.name)
        }
        Expr::Subquery(subquery) => {
            format!("{}{}", indented(&subquery.inner, level), Window(subquery))
        }
    }
}

fn lines<'a>(exprs: impl Iterator<Item = &'a Expr>, level: usize) -> String {
    exprs.map(|expr| indented(expr, level)).collect::<Vec<_>>().join(",\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[track_caller]
    fn check(query: &str, expect: &str) {
        let expr = parse(query).unwrap();
        assert_eq!(pretty(&expr), expect);
        let read_back = parse(expect).unwrap();
        assert_eq!(read_back.to_string(), expr.to_string(), "PRETTY-1: {query}");
    }

    #[test]
    fn what_fits_a_line_stays_on_one() {
        check("sum(up)by(job)", "sum by (job) (up)");
        check("-(up+1)", "-(up + 1)");
    }

    /// A differential test of crate `api` has more of these, with Prometheus' answers.
    #[test]
    fn what_does_not_fit_is_split_by_parts() {
        let long = |letter: &str| letter.repeat(60);
        let (a, b) = (long("a"), long("b"));
        check(
            &format!("topk(2, {a} / on (x) {b})"),
            &format!("topk(\n  2,\n    {a}\n  / on (x)\n    {b}\n)"),
        );
        check(&format!("-({a} + {b})"), &format!("-(\n    {a}\n  +\n    {b}\n)"));
        check(
            &format!("max_over_time(({a} or {b})[1h:] offset 1m)"),
            &format!("max_over_time(\n  (\n      {a}\n    or\n      {b}\n  )[1h:] offset 1m\n)"),
        );
    }
}
