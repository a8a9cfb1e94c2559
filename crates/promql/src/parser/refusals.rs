//! What is no query: where it is wrong, and the words for it.
//!
//! Source: Prometheus `promql/parser/{lex.go,generated_parser.y,parse.go}`.

use super::*;

/// Each line: a query, and where and why it is refused.
#[track_caller]
fn check_all(cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (query, place, message) in cases {
        let expect = format!("{place}: parse error: {message}");
        let got = match parse_with(query, Features::ALL) {
            Ok(expr) => format!("{expr}"),
            Err(error) => error.to_string(),
        };
        if got != expect {
            wrong.push(format!("{query}\n  expected {expect}\n  got      {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn closing_what_is_not_open() {
    check_all(&[
        ("(1))", "1:5", "unexpected right parenthesis ')'"),
        ("1)", "1:3", "unexpected right parenthesis ')'"),
        ("foo[)", "1:6", "unexpected right parenthesis ')'"),
        ("foo[5m)", "1:8", "unexpected right parenthesis ')'"),
        ("foo]", "1:4", "unexpected right bracket ']'"),
        ("foo[5m[", "1:7", "unexpected left bracket '['"),
        ("foo}", "1:4", "unexpected character: '}'"),
        ("foo{a=\"b\"{", "1:10", "unexpected left brace '{'"),
    ]);
}

#[test]
fn leaving_open_what_should_be_closed() {
    check_all(&[
        ("(1", "1:3", "unclosed left parenthesis"),
        ("sum(foo", "1:8", "unclosed left parenthesis"),
        ("foo{", "1:5", "unexpected end of input inside braces"),
        ("foo[", "1:5", "unexpected end of input in duration expression"),
        ("sum(foo[", "1:9", "unexpected end of input in duration expression"),
        ("foo[5m", "1:7", "unclosed left bracket"),
        ("sum(foo[5m", "1:11", "unclosed left parenthesis"),
        ("'abc", "1:1", "unterminated quoted string"),
        ("`abc", "1:1", "unterminated raw string"),
    ]);
}

#[test]
fn characters_without_a_meaning() {
    check_all(&[
        ("2 $ 3", "1:3", "unexpected character: '$'"),
        ("foo=~bar", "1:4", "unexpected character after '=': '~'"),
        ("foo!bar", "1:4", "unexpected character after '!': 'b'"),
        ("foo{a!b}", "1:6", "unexpected character after '!' inside braces: 'b'"),
        ("foo{a=1}", "1:7", "unexpected character inside braces: '1'"),
        ("foo[x]", "1:5", "unexpected character in duration expression: 'x'"),
        ("foo[\"5m\"]", "1:5", "unexpected character in duration expression: '\"'"),
        ("foo[# 5m]", "1:5", "unexpected character in duration expression: '#'"),
        ("foo[5m x]", "1:8", "unexpected character: 'x', expected ':'"),
        ("foo[:1m]", "1:6", "unexpected colon before duration in duration expression"),
        ("foo[5m:1m:1m]", "1:10", "unexpected colon ':'"),
        ("foo[5m @ 1]", "1:8", "unexpected <op:@> in subquery or range, expected \":\" or \"]\""),
    ]);
}

#[test]
fn numbers_that_are_none() {
    check_all(&[
        ("2.5.", "1:1", "bad number or duration syntax: \"2.5.\""),
        ("100..4", "1:1", "bad number or duration syntax: \"100..\""),
        ("0deadbeef", "1:1", "bad number or duration syntax: \"0de\""),
        ("1x", "1:1", "bad number or duration syntax: \"1\""),
        ("2mb", "1:1", "bad number or duration syntax: \"2mb\""),
        ("foo[5mm]", "1:5", "bad number or duration syntax: \"5mm\""),
        ("foo[5m1]", "1:5", "bad number or duration syntax: \"5m1\""),
        ("foo offset 1mm", "1:12", "bad number or duration syntax: \"1mm\""),
        ("1e", "1:1", "bad number or duration syntax: \"1e\""),
        (
            "1 + .5.5",
            "1:5",
            "error parsing number: strconv.ParseFloat: parsing \".5.5\": invalid syntax",
        ),
        (
            "1e400",
            "1:1",
            "error parsing number: strconv.ParseFloat: parsing \"1e400\": value out of range",
        ),
        (
            "0xFFFFFFFFFFFFFFFFF",
            "1:1",
            "error parsing number: strconv.ParseFloat: parsing \"0xFFFFFFFFFFFFFFFFF\": invalid syntax",
        ),
    ]);
}

#[test]
fn durations_that_are_none() {
    const EXPECTED: &str = "number, duration, step(), or range()";
    check_all(&[
        ("foo[5y1hs]", "1:5", "unknown unit \"hs\" in duration \"5y1hs\""),
        ("foo[5m1h]", "1:5", "not a valid duration string: \"5m1h\""),
        ("foo[5m1m]", "1:5", "not a valid duration string: \"5m1m\""),
        ("foo[0]", "1:5", "duration must be greater than 0"),
        ("foo[-5m]", "1:5", "duration must be greater than 0"),
        ("foo[5m:0]", "1:8", "duration must be greater than 0"),
        ("foo[300y]", "1:5", "duration out of range"),
        ("foo[9.5e10]", "1:5", "duration out of range"),
        ("foo offset 9.5e10", "1:12", "duration out of range"),
        ("foo[5s/0d]", "1:7", "division by zero"),
        ("foo[5s%-0]", "1:7", "modulo by zero"),
        ("foo offset (4d/0)", "1:15", "division by zero"),
        (
            "foo[]",
            "1:5",
            &format!("unexpected \"]\" in subquery or range selector, expected {EXPECTED}"),
        ),
        (
            "foo[step]",
            "1:9",
            &format!("unexpected \"]\" in subquery or range selector, expected {EXPECTED}"),
        ),
        (
            "foo[(5m]",
            "1:8",
            &format!("unexpected \"]\" in subquery or range selector, expected {EXPECTED}"),
        ),
        (
            "foo[5m:*]",
            "1:8",
            "unexpected <op:*> in subquery selector, expected number, duration, step(), range(), or \"]\"",
        ),
        ("foo[5m:1m,]", "1:10", "unexpected \",\" in subquery selector, expected \"]\""),
        ("foo offset", "1:11", &format!("unexpected end of input in offset, expected {EXPECTED}")),
        (
            "foo offset bar",
            "1:12",
            &format!("unexpected identifier \"bar\" in offset, expected {EXPECTED}"),
        ),
    ]);
}

#[test]
fn selectors_that_are_none() {
    check_all(&[
        ("foo{,}", "1:5", "unexpected \",\" in label matching, expected identifier or \"}\""),
        ("foo{a}", "1:6", "unexpected \"}\" in label matching, expected label matching operator"),
        ("foo{a=}", "1:7", "unexpected \"}\" in label matching, expected string"),
        ("foo{a=b}", "1:7", "unexpected identifier \"b\" in label matching, expected string"),
        (
            "foo{a=\"b\" c=\"d\"}",
            "1:11",
            "unexpected identifier \"c\" in label matching, expected \",\" or \"}\"",
        ),
        ("{}", "1:1", "vector selector must contain at least one non-empty matcher"),
        ("{a=\"\"}", "1:1", "vector selector must contain at least one non-empty matcher"),
        ("foo{__name__=\"b\"}", "1:1", "metric name must not be set twice: \"foo\" or \"b\""),
        ("foo{\"b\"}", "1:1", "metric name must not be set twice: \"foo\" or \"b\""),
        ("foo bar", "1:5", "unexpected identifier \"bar\""),
        ("foo \"bar\"", "1:5", "unexpected string \"\\\"bar\\\"\""),
        ("(foo)[5m]", "1:6", "ranges only allowed for vector selectors"),
        ("foo offset 1m [5m]", "1:15", "no offset modifiers allowed before range"),
        ("foo @ 1 [5m]", "1:9", "no @ modifiers allowed before range"),
        ("foo offset 1m offset 1m", "1:1", "offset may not be set multiple times"),
        ("foo @ 1 @ 2", "1:1", "@ <timestamp> may not be set multiple times"),
        ("foo @ bar", "1:7", "unexpected identifier \"bar\" in @, expected timestamp"),
        ("foo @ start", "1:12", "unexpected end of input in @, expected timestamp"),
        ("foo @ end()()", "1:12", "unexpected \"(\""),
        ("sum(foo @ start(1))", "1:17", "unexpected number \"1\" in @, expected timestamp"),
        ("foo @ inf", "1:1", "timestamp out of bounds for @ modifier: +Inf"),
        (
            "1 offset 1d",
            "1:1",
            "offset modifier must be preceded by an instant vector selector or range vector \
             selector or a subquery",
        ),
        (
            "foo[5m][10m:5s]",
            "1:1",
            "subquery is only allowed on instant vector, got matrix instead",
        ),
    ]);
}

#[test]
fn operators_that_do_not_fit() {
    const SET_OPERATOR: &str = "not allowed in binary scalar expression";
    check_all(&[
        ("*1", "1:1", "unexpected <op:*>"),
        ("1 == 1", "1:3", "comparisons between scalars must use BOOL modifier"),
        ("1 or 1", "1:1", &format!("set operator \"or\" {SET_OPERATOR}")),
        ("1 !~ 1", "1:3", "unexpected character after '!': '~'"),
        ("1 and foo", "1:1", &format!("set operator \"and\" {SET_OPERATOR}")),
        ("foo + bool bar", "1:5", "bool modifier can only be used on comparison operators"),
        ("foo and bool 10", "1:5", "bool modifier can only be used on comparison operators"),
        ("1 or on (a) foo", "1:1", "vector matching only allowed between instant vectors"),
        ("foo and on(a) group_left bar", "1:1", "no grouping allowed for \"and\" operation"),
        (
            "foo + on(a) group_left(a) bar",
            "1:5",
            "label \"a\" must not occur in ON and GROUP clause at once",
        ),
        ("a - on(b) ignoring(c) d", "1:11", "unexpected <ignoring>"),
        ("foo + group_left(baz) bar", "1:7", "unexpected <group_left>"),
        ("foo == bool ==", "1:13", "unexpected <op:==>"),
        ("foo + on bar", "1:10", "unexpected identifier \"bar\" in grouping opts, expected \"(\""),
        ("foo + on (a", "1:12", "unclosed left parenthesis"),
        ("foo + on (\"\") bar", "1:11", "invalid label name for grouping: \"\""),
    ]);
}

#[test]
fn aggregations_that_do_not_fit() {
    const COUNT: &str = "wrong number of arguments for aggregate expression provided";
    check_all(&[
        ("sum some_metric by (test)", "1:5", "unexpected identifier \"some_metric\""),
        ("sum (x) by t", "1:12", "unexpected identifier \"t\" in grouping opts, expected \"(\""),
        ("sum () by (test)", "1:1", "no arguments for aggregate expression provided"),
        ("sum without(==)(x)", "1:13", "unexpected <op:==> in grouping opts, expected label"),
        (
            "sum by (a b) (x)",
            "1:11",
            "unexpected identifier \"b\" in grouping opts, expected \",\" or \")\"",
        ),
        ("sum (x) by (a) by (b)", "1:16", "unexpected <by>"),
        ("sum(x 5)", "1:7", "unexpected number \"5\" in aggregation"),
        ("topk(x)", "1:1", &format!("{COUNT}, expected 2, got 1")),
        ("sum(x, y)", "1:1", &format!("{COUNT}, expected 1, got 2")),
        ("topk(x, y)", "1:6", "expected type scalar in aggregation parameter, got instant vector"),
        ("count_values(5, y)", "1:14", "expected type string in aggregation parameter, got scalar"),
        (
            "sum(x[5m])",
            "1:5",
            "expected type instant vector in aggregation expression, got range vector",
        ),
    ]);
}

#[test]
fn calls_that_do_not_fit() {
    const TRAILING: &str = "trailing commas not allowed in function call args";
    check_all(&[
        ("nothing(foo)", "1:1", "unknown function with name \"nothing\""),
        ("ignoring(foo)", "1:1", "unexpected <ignoring>"),
        ("by(foo)", "1:3", "unexpected \"(\""),
        ("abs(foo,)", "1:8", TRAILING),
        ("abs(foo,,foo)", "1:8", TRAILING),
        ("sum(foo,)", "1:8", TRAILING),
        ("abs(,)", "1:5", "unexpected \",\""),
        ("abs(foo,", "1:9", "unclosed left parenthesis"),
        ("abs(foo bar)", "1:9", "unexpected identifier \"bar\""),
        ("floor()", "1:1", "expected 1 argument(s) in call to \"floor\", got 0"),
        ("floor(foo, bar)", "1:1", "expected 1 argument(s) in call to \"floor\", got 2"),
        ("round()", "1:1", "expected at least 1 argument(s) in call to \"round\", got 0"),
        ("hour(foo, bar)", "1:1", "expected at most 1 argument(s) in call to \"hour\", got 2"),
        (
            "floor(1)",
            "1:7",
            "expected type instant vector in call to function \"floor\", got scalar",
        ),
        (
            "rate(foo)",
            "1:6",
            "expected type range vector in call to function \"rate\", got instant vector",
        ),
        (
            "info(foo, 1)",
            "1:1",
            "expected type instant vector in call to function \"info\", got scalar",
        ),
        ("info(foo, sum(bar))", "1:11", "expected label selectors only"),
        (
            "info(foo, bar{a=\"b\"})",
            "1:11",
            "expected label selectors only, got vector selector instead",
        ),
        (
            "-\"a\"",
            "1:1",
            "unary expression only allowed on expressions of type scalar or instant vector, \
             got \"string\"",
        ),
    ]);
}

#[test]
fn strings_with_bad_escapes() {
    check_all(&[
        ("\"\\q\"", "1:1", "unknown escape sequence U+0071 'q'"),
        ("\"\\xz\"", "1:1", "illegal character U+007A 'z' in escape sequence"),
        ("\"\\777\"", "1:1", "escape sequence is an invalid Unicode code point"),
        ("\"\\ud800\"", "1:1", "escape sequence is an invalid Unicode code point"),
        ("\"\\x0", "1:1", "escape sequence not terminated"),
        ("\"a\nb\"", "1:1", "unterminated quoted string"),
    ]);
}
