//! An expression as JSON, for those who draw or analyse queries (`parse_query`).
//!
//! Source: Prometheus `web/api/v1/translate_ast.go`. Keys are sorted, as Go writes maps. What only
//! an experimental feature can write (a duration that is an expression) is null.

use model::Matcher;
use promql::ast::{At, Binary, BinaryOp, Call, Cardinality, Modifiers, Span, VectorSelector};
use promql::functions::Optional;
use promql::{Expr, ValueType};
use serde_json::{Value, json};

pub(crate) fn expression(expr: &Expr) -> Value {
    match expr {
        Expr::Number(number) => {
            json!({ "type": "numberLiteral", "val": promql::format_value(number.value) })
        }
        Expr::String(string) => json!({ "type": "stringLiteral", "val": string.value }),
        Expr::Paren(paren) => with(json!({ "type": "parenExpr" }), "expr", &paren.inner),
        Expr::Unary(unary) => {
            let op = if unary.negative { "-" } else { "+" };
            with(json!({ "op": op, "type": "unaryExpr" }), "expr", &unary.inner)
        }
        Expr::Binary(binary) => self::binary(binary),
        Expr::Aggregate(aggregate) => {
            let value = json!({
                "grouping": aggregate.grouping,
                "op": aggregate.op.as_str(),
                "param": null,
                "type": "aggregation",
                "without": aggregate.without,
            });
            let value = with(value, "expr", &aggregate.inner);
            match &aggregate.parameter {
                Some(parameter) => with(value, "param", parameter),
                None => value,
            }
        }
        Expr::Call(call) => self::call(call),
        Expr::Vector(selector) => self::selector(selector, "vectorSelector", None),
        Expr::Matrix(selector) => {
            self::selector(&selector.vector, "matrixSelector", Some(&selector.range))
        }
        Expr::Subquery(subquery) => {
            let value = json!({
                "offset": offset(&subquery.time),
                "range": millis(&subquery.range),
                "startOrEnd": start_or_end(&subquery.time),
                "step": subquery.step.as_ref().map_or(Some(0), millis),
                "timestamp": timestamp(&subquery.time),
                "type": "subquery",
            });
            with(value, "expr", &subquery.inner)
        }
    }
}

/// Puts `expr` into an object. `json!` would copy it, and all below it, at every level.
fn with(mut object: Value, key: &str, expr: &Expr) -> Value {
    object[key] = expression(expr);
    object
}

fn binary(binary: &Binary) -> Value {
    let is_vector = |side: &Expr| side.value_type() == ValueType::Vector;
    let matching = (is_vector(&binary.lhs) && is_vector(&binary.rhs)).then(|| {
        json!({
            "card": cardinality(binary),
            "include": binary.matching.include,
            "labels": binary.matching.labels,
            "on": binary.matching.on,
        })
    });
    let value = json!({
        "bool": binary.returns_bool,
        "matching": matching,
        "op": binary.op.as_str(),
        "type": "binaryExpr",
    });
    with(with(value, "lhs", &binary.lhs), "rhs", &binary.rhs)
}

fn cardinality(binary: &Binary) -> &'static str {
    match (binary.op, binary.matching.cardinality) {
        (BinaryOp::And | BinaryOp::Or | BinaryOp::Unless, _) => "many-to-many",
        (_, Cardinality::OneToOne) => "one-to-one",
        (_, Cardinality::ManyToOne) => "many-to-one",
        (_, Cardinality::OneToMany) => "one-to-many",
    }
}

fn call(call: &Call) -> Value {
    let function = call.function;
    let arg_types: Vec<_> = function.args.iter().map(|arg| arg.as_str()).collect();
    let variadic = match function.optional {
        Optional::No => 0,
        Optional::UpTo(count) => count as i64,
        Optional::Any => -1,
    };
    let mut value = json!({
        "func": {
            "argTypes": arg_types,
            "name": function.name,
            "returnType": function.returns.as_str(),
            "variadic": variadic,
        },
        "type": "call",
    });
    value["args"] = Value::Array(call.args.iter().map(expression).collect());
    value
}

fn selector(selector: &VectorSelector, kind: &str, range: Option<&Span>) -> Value {
    let matchers: Vec<_> = selector.matchers.iter().map(matcher).collect();
    let mut node = json!({
        "matchers": matchers,
        "name": selector.name.as_deref().unwrap_or_default(),
        "offset": offset(&selector.time),
    });
    if let Some(range) = range {
        node["range"] = millis(range).into();
    }
    node["startOrEnd"] = start_or_end(&selector.time).into();
    node["timestamp"] = timestamp(&selector.time).into();
    node["type"] = kind.into();
    node
}

fn matcher(matcher: &Matcher) -> Value {
    json!({ "name": matcher.name(), "type": matcher.op().as_str(), "value": matcher.value() })
}

fn offset(time: &Modifiers) -> Option<i64> {
    time.offset.as_ref().map_or(Some(0), millis)
}

fn millis(span: &Span) -> Option<i64> {
    match span {
        Span::Millis(millis) => Some(*millis),
        Span::Expr(_) => None,
    }
}

fn timestamp(time: &Modifiers) -> Option<i64> {
    match time.at {
        Some(At::Millis(millis)) => Some(millis),
        Some(At::Start | At::End) | None => None,
    }
}

fn start_or_end(time: &Modifiers) -> Option<&'static str> {
    match time.at {
        Some(At::Start) => Some("start"),
        Some(At::End) => Some("end"),
        Some(At::Millis(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expect: Value) {
        assert_eq!(expression(&promql::parse(query).unwrap()), expect, "{query}");
    }

    fn name(name: &str) -> Value {
        json!({ "name": "__name__", "type": "=", "value": name })
    }

    fn plain(metric: &str) -> Value {
        json!({
            "matchers": [name(metric)], "name": metric, "offset": 0, "startOrEnd": null,
            "timestamp": null, "type": "vectorSelector",
        })
    }

    #[test]
    fn selectors_name_their_times() {
        check("up", plain("up"));
        check(
            "up{job=~\"a.*\"}[5m] @ 1.5 offset -1m",
            json!({
                "matchers": [{ "name": "job", "type": "=~", "value": "a.*" }, name("up")],
                "name": "up", "offset": -60_000, "range": 300_000, "startOrEnd": null,
                "timestamp": 1500, "type": "matrixSelector",
            }),
        );
        check(
            "up[1h:] @ end()",
            json!({
                "expr": plain("up"), "offset": 0, "range": 3_600_000, "startOrEnd": "end",
                "step": 0, "timestamp": null, "type": "subquery",
            }),
        );
    }

    #[test]
    fn operators_have_matching_between_vectors_only() {
        let binary = |op: &str, lhs: Value, rhs: Value, matching: Value| {
            json!({
                "bool": false, "lhs": lhs, "matching": matching, "op": op, "rhs": rhs,
                "type": "binaryExpr",
            })
        };
        let one = json!({ "type": "numberLiteral", "val": "1" });
        check("up + 1", binary("+", plain("up"), one, Value::Null));
        let matching = json!({
            "card": "many-to-one", "include": ["b"], "labels": ["a"], "on": true,
        });
        check("x / on (a) group_left (b) y", binary("/", plain("x"), plain("y"), matching));
        let matching = json!({
            "card": "many-to-many", "include": [], "labels": [], "on": false,
        });
        check("x or y", binary("or", plain("x"), plain("y"), matching));
    }

    #[test]
    fn aggregations_and_calls_have_their_arguments() {
        check(
            "topk without (a) (2, -(up))",
            json!({
                "expr": {
                    "expr": { "expr": plain("up"), "type": "parenExpr" },
                    "op": "-",
                    "type": "unaryExpr",
                },
                "grouping": ["a"], "op": "topk",
                "param": { "type": "numberLiteral", "val": "2" },
                "type": "aggregation", "without": true,
            }),
        );
        check(
            "round(up, 5)",
            json!({
                "args": [plain("up"), { "type": "numberLiteral", "val": "5" }],
                "func": {
                    "argTypes": ["vector", "scalar"], "name": "round", "returnType": "vector",
                    "variadic": 1,
                },
                "type": "call",
            }),
        );
    }
}
