//! Expected texts are those of Go's `text/template` and `fmt`.

use proptest::prelude::*;

use super::*;

fn functions() -> Functions<'static> {
    let mut functions = Functions::new();
    functions.add("upper", 1..=1, |args| Ok(args[0].as_text()?.to_uppercase().into()));
    functions.add("join", 2..=2, |args| {
        Ok(format!("{}-{}", args[0].as_text()?, args[1].as_text()?).into())
    });
    functions.add("fails", 0..=0, |_| Err("it always does".to_owned()));
    functions.add("wrap", 1..=1, |args| Ok(args.iter().cloned().collect::<List>().into()));
    functions
}

/// What the templates below see as `.`.
fn data() -> Value {
    let labels = Map::of_texts([("instance", "a:9100"), ("job", "node")]);
    let list: List = [1, 2, 3].map(Value::Int).into_iter().collect();
    let time: jiff::Timestamp = "2015-06-23T03:09:04.128Z".parse().unwrap();
    Map::of_fields([
        ("Labels", labels.into()),
        ("Value", Value::Float(1.5)),
        ("List", list.into()),
        ("Empty", List::default().into()),
        ("Time", Value::Time(time)),
        ("Text", Value::text("a<b>\"c\"")),
        ("Nothing", Value::Nil),
    ])
    .into()
}

fn run(text: &str) -> Result<String, String> {
    let functions = functions();
    let template = Template::parse("test", text, &functions, &["labels", "value"])
        .map_err(|error| error.to_string())?;
    let Value::Map(fields) = data() else { unreachable!("data is a struct") };
    let variables =
        [("labels", fields.get("Labels").unwrap()), ("value", fields.get("Value").unwrap())];
    template.execute(&functions, &variables, &data()).map_err(|error| error.to_string())
}

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(run(text).as_deref(), Ok(expect), "{text}");
}

#[track_caller]
fn check_error(text: &str, expect: &str) {
    let error = run(text).expect_err(text);
    assert!(error.contains(expect), "{text}\n{error}");
}

#[test]
fn text_is_copied_and_trimmed_where_markers_say_so() {
    check("", "");
    check("plain { text } ü", "plain { text } ü");
    check("a {{ 1 }} b", "a 1 b");
    check("a \n {{- 1 -}} \t\n b", "a1b");
    check("a {{- /* gone */ -}} b", "ab");
    check("a {{/* a comment }} with braces */}} b", "a  b");
    check("{{-3}}", "-3");
    check("{{3 -}} x", "3x");
    check("{{`raw \\n {{`}}", "raw \\n {{");
}

#[test]
fn literals_are_gos() {
    check(
        "{{1}} {{0x1F}} {{1_000}} {{0b101}} {{017}} {{0o17}} {{-5}} {{+5}}",
        "1 31 1000 5 15 15 -5 5",
    );
    check(
        "{{1.5}} {{.5}} {{1e3}} {{1e6}} {{123456789.0}} {{0.00001}}",
        "1.5 0.5 1000 1e+06 1.23456789e+08 1e-05",
    );
    check(r#"{{"a\t\"b\"\\ \x41\u00fc\101"}}"#, "a\t\"b\"\\ AüA");
    check(r"{{'a'}} {{'\n'}} {{'ü'}}", "97 10 252");
    check("{{true}} {{false}}", "true false");
}

#[test]
fn values_print_as_with_percent_v() {
    check("{{.List}} {{.Empty}} {{.Labels}}", "[1 2 3] [] map[instance:a:9100 job:node]");
    check("{{.Nothing}} {{.Labels.missing}}|", "<no value> |");
    check("{{.Time}}", "2015-06-23 03:09:04.128 +0000 UTC");
    check(
        "{{print nil}} {{print 1 2}} {{print 1 \"a\" 2}} {{print \"a\" \"b\"}}",
        "<nil> 1 2 1a2 ab",
    );
    check("{{println 1 \"a\"}}|", "1 a\n|");
}

#[test]
fn fields_variables_and_chains_are_followed() {
    check(
        "{{.Labels.job}} {{$.Labels.job}} {{$labels.job}} {{(.Labels).job}}",
        "node node node node",
    );
    check("{{$x := .Labels}}{{$x.job}}", "node");
    check("{{$x := 1}}{{$x = 2}}{{$x}}", "2");
    check("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2");
    check("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21");
    check("{{with $y := .Labels}}{{$y.job}} {{.instance}}{{end}}", "node a:9100");
    check("{{(wrap 1 | len)}}", "1");
}

#[test]
fn pipelines_hand_on_their_value_as_the_last_argument() {
    check("{{\"a\" | upper}}", "A");
    check("{{\"b\" | join \"a\" | upper}}", "A-B");
    check("{{join \"a\" (\"b\" | upper)}}", "a-B");
    check("{{(join \"a\" \"b\")|upper|printf \"%s!\"}}", "A-B!");
}

#[test]
fn conditions_choose() {
    check("{{if .Labels.job}}yes{{else}}no{{end}}", "yes");
    check("{{if .Labels.nothing}}yes{{else}}no{{end}}", "no");
    check("{{if false}}a{{else if .Empty}}b{{else if 1}}c{{else}}d{{end}}", "c");
    check("{{if not .Empty}}empty{{end}}", "empty");
    check("{{with .Labels.job}}{{.}}{{else}}none{{end}}", "node");
    check("{{with .Labels.x}}{{.}}{{else}}none{{end}}", "none");
    check("{{with .Labels.x}}{{.}}{{else with .Value}}{{.}}{{end}}", "1.5");
    check("{{and 1 0}} {{and 1 2}} {{or 0 \"x\"}} {{or 0 \"\"}}|", "0 2 x |");
    check("{{or 1 fails}} {{and 0 fails}}", "1 0");
    check("{{1 | and 2}}", "1");
}

#[test]
fn ranges_repeat() {
    check("{{range .List}}{{.}},{{end}}", "1,2,3,");
    check("{{range $i, $e := .List}}{{$i}}={{$e}} {{end}}", "0=1 1=2 2=3 ");
    check("{{range $e := .List}}{{$e}}{{end}}", "123");
    check(
        "{{range $name, $value := .Labels}}{{$name}}={{$value}} {{end}}",
        "instance=a:9100 job=node ",
    );
    check("{{range .Empty}}x{{else}}nothing{{end}}", "nothing");
    check("{{range .Nothing}}x{{else}}nothing{{end}}", "nothing");
    check("{{range 3}}{{.}}{{end}}", "012");
    check("{{range .List}}{{if eq . 2}}{{continue}}{{end}}{{.}}{{end}}", "13");
    check("{{range .List}}{{if eq . 2}}{{break}}{{end}}{{.}}{{end}}", "1");
    check(
        "{{range .List}}{{range $.List}}{{if eq . 2}}{{break}}{{end}}{{.}}{{end}}{{.}} {{end}}",
        "11 12 13 ",
    );
}

#[test]
fn templates_are_defined_and_included() {
    check(
        "{{define \"x\"}}<{{.}}>{{end}}{{template \"x\" 1}}{{template \"x\"}}",
        "<1><<no value>>",
    );
    check("{{template \"x\" .Labels}}{{define \"x\"}}{{.job}}{{$.job}}{{end}}", "nodenode");
    check("{{block \"x\" 5}}[{{.}}]{{end}}{{template \"x\" 6}}", "[5][6]");
    check("{{define \"x\"}}{{.}}{{end}}{{tmpl \"x\" 7 | upper}}", "7");
    check("{{define \"x\"}}{{$y := 1}}{{end}}{{$y := 2}}{{template \"x\"}}{{$y}}", "2");
}

#[test]
fn comparisons_compare_values_of_one_kind() {
    check("{{eq 1 1}} {{eq 1 2 3 1}} {{ne \"a\" \"b\"}} {{eq .Value 1.5}}", "true true true true");
    check("{{lt 1 2}} {{le 2 2}} {{gt \"b\" \"a\"}} {{ge 1.5 .Value}}", "true true true true");
    check("{{eq nil nil}} {{eq .Nothing 1}}", "true false");
    check_error("{{gt .Value 1}}", "error calling gt: incompatible types for comparison");
    check_error("{{eq .List .List}}", "error calling eq: invalid type for comparison");
    check_error("{{lt true false}}", "invalid type for comparison");
}

#[test]
fn collections_are_measured_indexed_and_sliced() {
    check("{{len \"ü\"}} {{len .List}} {{len .Labels}}", "2 3 2");
    check("{{index .List 1}} {{index .Labels \"job\"}} {{index .Labels \"x\"}}|", "2 node |");
    check("{{index (wrap .List) 0 2}}", "3");
    check("{{slice \"abcd\" 1 3}} {{slice .List 1}} {{slice \"abc\"}}", "bc [2 3] abc");
    check_error("{{index .List 3}}", "index out of range: 3");
    check_error("{{index .List \"a\"}}", "cannot index slice/array with type string");
    check_error("{{slice \"abc\" 2 1}}", "invalid slice index: 2 > 1");
    check_error("{{slice \"ü\" 1}}", "slice cuts a character");
}

#[test]
fn text_is_escaped() {
    check("{{html .Text}}", "a&lt;b&gt;&#34;c&#34;");
    check("{{.Text | js}}", "a\\u003Cb\\u003E\\\"c\\\"");
    check("{{urlquery \"a b&c/ü~\"}}", "a+b%26c%2F%C3%BC~");
}

#[test]
fn printf_formats_as_go_does() {
    #[track_caller]
    fn format(arguments: &str, expect: &str) {
        check(&format!("{{{{printf {arguments}}}}}"), expect);
    }
    format(
        r#""%d %5d|%-5d|%05d %+d %x %X %o %b %c" 1 2 3 4 5 255 255 8 5 65"#,
        "1     2|3    |00004 +5 ff FF 10 101 A",
    );
    format(
        r#""%s|%10s|%-10s|%.2s|%q" "ab" "ab" "ab" "äöü" "a\"b""#,
        r#"ab|        ab|ab        |äö|"a\"b""#,
    );
    format(
        r#""%f %.2f %8.3f|%e %g %.3g %G" 1.5 2.345 3.14159 123456.789 1e21 123456.0 1e-7"#,
        "1.500000 2.35    3.142|1.234568e+05 1e+21 1.23e+05 1E-07",
    );
    format(r#""%v %v %v %v %+v" 1 "a" true .List 1.0"#, "1 a true [1 2 3] +1");
    format(r#""%t %T %T %T" true 1 1.5 "a""#, "true int float64 string");
    format(r#""100%%""#, "100%");
    format(r#""%d %s" "x" 1.5"#, "%!d(string=x) %!s(float64=1.5)");
    format(r#""%d""#, "%!d(MISSING)");
    format(r#""x" 1 "y""#, "x%!(EXTRA int=1, string=y)");
    format(r#""%""#, "%!(NOVERB)");
    format(r#""%*d|%-*d|%.*f" 4 1 4 1 2 1.0"#, "   1|1   |1.00");
    format(r#""%08.3f|%+.1f|% d" -3.14159 2.0 7"#, "-003.142|+2.0| 7");
    format(r#""%s" nil"#, "%!s(<nil>)");
}

#[test]
fn floats_are_written_as_strconv_does() {
    #[track_caller]
    fn check(value: f64, verb: char, precision: Option<usize>, expect: &str) {
        assert_eq!(float(value, verb, precision), expect, "%{precision:?}{verb} of {value}");
    }
    check(0.0, 'g', Some(4), "0");
    check(-0.0, 'g', None, "-0");
    check(1234567.0, 'g', None, "1.234567e+06");
    check(123456.0, 'g', None, "123456");
    check(1e-4, 'g', None, "0.0001");
    check(1e-5, 'g', None, "1e-05");
    check(1e100, 'g', None, "1e+100");
    check(123.456, 'g', Some(4), "123.5");
    check(1234.5, 'g', Some(4), "1234"); // half to even
    check(12345.0, 'g', Some(4), "1.234e+04");
    check(99995.0, 'g', Some(4), "1e+05");
    check(0.12345, 'g', Some(4), "0.1235");
    check(100.0, 'g', Some(4), "100");
    check(1.2, 'g', Some(0), "1");
    check(0.5, 'f', Some(0), "0");
    check(1.0, 'e', None, "1e+00");
    check(f64::INFINITY, 'g', None, "+Inf");
    check(f64::NEG_INFINITY, 'f', Some(2), "-Inf");
    check(f64::NAN, 'e', None, "NaN");
}

#[test]
fn times_have_gos_methods_and_layouts() {
    check("{{.Time.Format \"2006-01-02T15:04:05Z07:00\"}}", "2015-06-23T03:09:04Z");
    check(
        "{{.Time.Format \"Mon Jan _2 3:04:05.000 PM 2006 MST -0700\"}}",
        "Tue Jun 23 3:09:04.128 AM 2015 UTC +0000",
    );
    check(
        "{{.Time.Format \"Monday, January 2 06, 002, .999999\"}}",
        "Tuesday, June 23 15, 174, .128",
    );
    check("{{\"2006\" | .Time.Format}}", "2015");
    check(
        "{{.Time.Unix}} {{.Time.UnixMilli}} {{.Time.Year}} {{.Time.Month}} {{.Time.Weekday}}",
        "1435028944 1435028944128 2015 June Tuesday",
    );
    check("{{(.Time.UTC).Hour}}", "3");
    check_error("{{.Time.Missing}}", "time.Time has no method Missing");
}

#[test]
fn bad_templates_are_refused_with_line_and_column() {
    check_error("{{", "template: test:1:0: unclosed action");
    check_error("line\n  {{ \"open }}", "template: test:2:5: unterminated quoted string");
    check_error("{{ `raw }}", "unterminated raw quoted string");
    check_error("{{ 'a }}", "unterminated character constant");
    check_error("{{/* x }}", "unclosed comment");
    check_error("{{\u{a0}}}", "unrecognized character in action: U+00A0");
    check_error("{{ 1x }}", "bad number syntax: \"1x\"");
    check_error("{{ \"\\z\" }}", "invalid escape");
    check_error("{{}}", "missing value for command");
    check_error("{{ | }}", "unexpected \"|\" in command");
    check_error("{{ 1 | }}", "missing value for command");
    check_error("{{ 1 | 2 }}", "non executable command in pipeline stage 2");
    check_error("{{ missing }}", "function \"missing\" not defined");
    check_error("{{ $missing }}", "undefined variable \"$missing\"");
    check_error("{{ $missing = 1 }}", "undefined variable \"$missing\"");
    check_error("{{ if true }}", "unexpected EOF");
    check_error("{{ if }}x{{ end }}", "missing value for if");
    check_error("{{ end }}", "unexpected {{end}}");
    check_error("{{ else }}", "unexpected {{else}}");
    check_error("{{if 1}}{{else}}{{else}}{{end}}", "expected end; found {{else}}");
    check_error("{{ break }}", "{{break}} outside {{range}}");
    check_error("{{ range $a, $b, $c := .List }}{{ end }}", "too many declarations in range");
    check_error("{{ (1 }}", "unexpected \"}}\" in parenthesized pipeline");
    check_error("{{ 1) }}", "unexpected \")\" in operand");
    check_error("{{ 1.Field }}", "bad number syntax");
    check_error("{{ \"a\".Field }}", "unexpected . after term");
    check_error("{{ template x }}", "unexpected <x> in template clause");
    check_error("{{ define \"x\" }}", "no {{end}}");
    check_error("{{if 1}}{{define \"x\"}}{{end}}{{end}}", "unexpected {{define}}");
}

#[test]
fn what_fails_while_executing_names_the_place() {
    check_error(
        "a\nb {{ fails }}",
        "template: test:2:5: executing \"test\" at <fails>: error calling fails: it always does",
    );
    check_error("{{ .Missing }}", "at <.Missing>: can't evaluate field Missing in type struct");
    check_error("{{ .Value.Field }}", "can't evaluate field Field in type float64");
    check_error("{{ .Nothing.Field }}", "nil data; no entry for key \"Field\"");
    check_error(
        "{{ upper 1 }}",
        "error calling upper: wrong type for value; expected string; got int",
    );
    check_error("{{ upper }}", "wrong number of args for upper: want 1 got 0");
    check_error("{{ .Labels.job 1 }}", "job has arguments but cannot be invoked as function");
    check_error("{{ 1 2 }}", "can't give argument to non-function 1");
    check_error("{{ template \"x\" }}", "template \"x\" not defined");
    check_error("{{ range 1.5 }}{{ end }}", "range can't iterate over float64");
    check_error("{{ join \"aaaaaaaaaaaaaaaaaaaaaaaa\" 1 }}", "at <join \"aaaaaaaaaaaaaa...>");
}

/// TEMPLATE-1
#[test]
fn costs_are_bounded() {
    check_error("{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}", "nested more than");
    check_error(&"{{if 1}}".repeat(101), "nested more than");
    check_error(&format!("{{{{{}1}}}}", "(".repeat(1000)), "nested more than");
    check_error("{{range 1000}}{{range 1000}}{{end}}{{end}}", "more than 100000 iterations");
    check_error("{{range 99999}}0123456789abcdef{{end}}", "output is larger than");
    check_error("{{$x := \"xx\"}}{{range 99}}{{$x = print $x $x}}{{end}}", "output is larger than");
    check_error("{{$x := \"xx\"}}{{range 99}}{{$x = join $x $x}}{{end}}", "output is larger than");
    check_error("{{$x := 1}}{{range 9999}}{{$x = wrap $x}}{{end}}", "values nested more than");
    check_error("{{printf \"%9999999d\" 1}}", "too large");
    check_error("{{printf \"%1000000d%1000000d\" 1 1}}", "output is larger than");
}

proptest! {
    /// TEMPLATE-2
    #[test]
    fn no_text_panics(pieces in proptest::collection::vec(prop_oneof![
        Just("{{"), Just("}}"), Just("{{- "), Just(" -}}"), Just("if "), Just("else "), Just("end"),
        Just("range "), Just("with "), Just("define "), Just("template "), Just("block "), Just("\"x\" "),
        Just("$x "), Just(":= "), Just("= "), Just(", "), Just("| "), Just("("), Just(")"), Just(".Labels"),
        Just(".List "), Just(".job "), Just(". "), Just("1 "), Just("-1.5e3 "), Just("printf "), Just("index "),
        Just("slice "), Just("eq "), Just("and "), Just("or "), Just("len "), Just("nil "), Just("break"),
        Just("'ü' "), Just("`r` "), Just("/* c */"), Just("\\"), Just("ü"), Just("\n"), Just("%5.*d")
    ], 0..40)) {
        let _ = run(&pieces.concat());
    }

    #[test]
    fn no_layout_and_no_format_panics(layout in "[0-9JanMonSTPpmZ:,._ü-]{0,20}", format in "[%0-9.*+# dsvqxefgTcU-]{0,12}") {
        let _ = run(&format!("{{{{.Time.Format {layout:?}}}}}"));
        let _ = sprintf(&format, &[Value::Int(-3), Value::Float(1.5), Value::text("ü")]);
    }
}
