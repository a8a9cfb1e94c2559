use proptest::prelude::*;

use super::*;

#[test]
fn queries_are_written_in_one_way() {
    #[track_caller]
    fn check(query: &str, expect: &str) {
        let expr = parse_with(query, Features::ALL).unwrap();
        assert_eq!(expr.to_string(), expect);
        assert_eq!(parse_with(expect, Features::ALL).unwrap().to_string(), expect);
    }
    check("1", "1");
    check("0x1F + 1_000 + 010 + .5e1", "31 + 1000 + 8 + 5");
    check("5m + -inf", "5m + -Inf");
    check("- 2 ^ 3", "-2 ^ 3");
    check("-(foo)", "-(foo)");
    check("foo", "foo");
    check("sum", "sum");
    check("foo{b=\"1\", a!~'x'}", "foo{a!~\"x\",b=\"1\"}");
    check("{\"my.metric\", \"a.b\"=\"c\"}", "{\"a.b\"=\"c\",__name__=\"my.metric\"}");
    check("foo[5m] offset 1h @ 10", "foo[5m] @ 10.000 offset 1h");
    check("foo offset -90s", "foo offset -1m30s");
    check("foo @ start() offset 0s", "foo @ start()");
    check("rate(foo[5m:])", "rate(foo[5m:])");
    check("foo[1h:1m] @ end()", "foo[1h:1m] @ end()");
    check("foo[step() * (1 + 2)]", "foo[step() * (1 + 2)]");
    check("foo offset min_of(step(), 5m)", "foo offset min_of(step(), 5m)");
    check("foo[5m] anchored", "foo[5m] anchored");
    check("foo smoothed", "foo smoothed");
    check("SUM(foo) BY (a, b)", "sum by (a, b) (foo)");
    check("topk without() (3, foo)", "topk without () (3, foo)");
    check("a+ON(b)GROUP_LEFT(c)d", "a + on (b) group_left (c) d");
    check("a >bool ignoring(b) d", "a > bool ignoring (b) d");
    check("a + fill(1) b", "a + fill (1) b");
    check("a + fill_left(1) fill_right(2) b", "a + fill_left (1) fill_right (2) b");
    check("h </ 5 >/ 1", "h </ 5 >/ 1");
    check("a or b and c unless d", "a or b and c unless d");
    check("label_join(a, 'x\\n', \"\")", "label_join(a, \"x\\n\", \"\")");
    check("# comment\nfoo # more", "foo");
}

#[test]
fn operators_bind_as_in_prometheus() {
    #[track_caller]
    fn check(query: &str, grouped: &str) {
        fn group(expr: &Expr) -> String {
            match expr {
                Expr::Binary(b) => format!("({}{}{})", group(&b.lhs), b.op, group(&b.rhs)),
                Expr::Unary(u) => {
                    format!("({}{})", if u.negative { '-' } else { '+' }, group(&u.inner))
                }
                other => other.to_string(),
            }
        }
        assert_eq!(group(&parse(query).unwrap()), grouped);
    }
    check("1 + 2 * 3", "(1+(2*3))");
    check("1 - 2 - 3", "((1-2)-3)");
    check("2 ^ 3 ^ 4", "(2^(3^4))");
    check("-a ^ 2 * b", "((-(a^2))*b)");
    check("a or b and c", "(aor(bandc))");
    check("a and b == c + d", "(aand(b==(c+d)))");
    check("a offset 1m + b", "(a offset 1m+b)");
}

#[test]
fn errors_say_where_and_what_was_expected() {
    #[track_caller]
    fn check(query: &str, expect: &str) {
        assert_eq!(parse(query).unwrap_err().to_string(), expect, "{query}");
    }
    check("", "1:1: parse error: no expression found in input");
    check("1 +", "1:4: parse error: unexpected end of input");
    check("foo\n  bar", "2:3: parse error: unexpected identifier \"bar\"");
}

#[test]
fn what_is_not_switched_on_is_refused() {
    #[track_caller]
    fn check(query: &str, expect: &str) {
        assert_eq!(parse(query).unwrap_err().message, expect, "{query}");
        assert!(parse_with(query, Features::ALL).is_ok(), "{query}");
    }
    check("info(foo)", "function \"info\" is not enabled");
    check(
        "limitk(1, foo)",
        "limitk() is experimental and must be enabled with \
         --enable-feature=promql-experimental-functions",
    );
    check("foo anchored", "anchored modifier is experimental and not enabled");
    check("foo + fill(0) bar", "binop fill modifiers are experimental and not enabled");
}

#[test]
fn deep_and_long_queries_are_refused_and_do_not_overflow_the_stack() {
    for (open, close) in [("(", ")"), ("abs(", ")"), ("-", ""), ("sum(", ")")] {
        let deep = format!("{}foo{}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(parse(&deep).unwrap_err().message, "expression is nested too deeply", "{open}");
        let fine = format!("{}foo{}", open.repeat(100), close.repeat(100));
        assert!(parse(&fine).is_ok(), "{open}");
    }
    let long = vec!["foo"; 100_000].join(" or ");
    assert_eq!(parse(&long).unwrap_err().message, "expression has too many operators");
    let long = format!("foo{}", "[5m:]".repeat(100_000));
    assert_eq!(parse(&long).unwrap_err().message, "expression has too many operators");
    let range = format!("foo[{}5m{}]", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(parse(&range).unwrap_err().message, "expression is nested too deeply");
}

#[test]
fn positions_span_what_they_name() {
    #[track_caller]
    fn check(query: &str, expect: &str) {
        let position = parse(query).unwrap().unwrapped().position();
        assert_eq!(&query[position.start..position.end], expect);
    }
    check("  foo{a=\"b\"} @ 5 ", "foo{a=\"b\"} @ 5");
    check("(foo[5m] offset 1m)", "foo[5m] offset 1m");
    check("(sum by (a) (foo))", "sum by (a) (foo)");
    check("(sum(foo) by (a))", "sum(foo) by (a)");
    check("( rate(foo[5m]) )", "rate(foo[5m])");
    check("(foo + on(a) bar)", "foo + on(a) bar");
}

proptest! {
    /// PARSE-1, and PRINT-1 for whatever is understood.
    #[test]
    fn any_soup_of_tokens_is_understood_or_refused(
        tokens in proptest::collection::vec(proptest::sample::select(TOKENS), 0..25)
    ) {
        let query = tokens.join(" ");
        if let Ok(expr) = parse_with(&query, Features::ALL) {
            let text = expr.to_string();
            let again = parse_with(&text, Features::ALL);
            prop_assert_eq!(again.map(|expr| expr.to_string()), Ok(text));
        }
    }

    #[test]
    fn any_text_is_understood_or_refused(query in "\\PC{0,40}") {
        let _ = parse_with(&query, Features::ALL);
        let _ = parse_selector(&query);
    }
}

const TOKENS: &[&str] = &[
    "foo",
    "bar",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    "=",
    "=~",
    "!=",
    "\"x\"",
    "'(a|b)'",
    "a",
    "1",
    "2.5",
    "5m",
    "1h30m",
    "+",
    "-",
    "*",
    "/",
    "^",
    "%",
    "==",
    ">",
    "bool",
    "and",
    "or",
    "unless",
    "on",
    "ignoring",
    "group_left",
    "by",
    "without",
    "sum",
    "topk",
    "rate",
    "abs",
    "offset",
    "@",
    "start",
    "step",
    ":",
    "anchored",
    "smoothed",
    "fill",
    "</",
    "inf",
    "nan",
    "#",
    "`",
    "\\",
    "\n",
    "(foo)",
    "foo[5m]",
    "sum(",
    "rate(foo[5m])",
    "{a=\"b\"}",
    "[5m:1m]",
    "by (a)",
];
