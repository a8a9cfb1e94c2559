//! The commands of a test script.
//!
//! Source: Prometheus `promql/promqltest/README.md` and `test.go`.

use model::Labels;

use promql::notation::{SeriesLine, Value, parse_line, parse_values};

#[derive(Debug)]
pub(crate) enum Command {
    Clear,
    Load { gap: i64, with_custom_buckets: bool, series: Vec<SeriesLine> },
    Eval(Box<Eval>),
}

#[derive(Debug)]
pub(crate) struct Eval {
    pub(crate) line: usize,
    pub(crate) query: String,
    pub(crate) time: EvalTime,
    pub(crate) expected: Expected,
    /// Set by `expect …` lines and by the older forms of `eval`.
    pub(crate) fails: bool,
    pub(crate) ordered: bool,
    pub(crate) warnings: Annotations,
    pub(crate) infos: Annotations,
    /// What the error's text must be or match.
    pub(crate) failure: Vec<Pattern>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum EvalTime {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

#[derive(Debug)]
pub(crate) enum Expected {
    Scalar(f64),
    String(String),
    Series(Vec<(Labels, Vec<Value>)>),
    /// A range vector, whose samples are `step` apart from `start` on.
    RangeVector {
        start: i64,
        step: i64,
        series: Vec<(Labels, Vec<Value>)>,
    },
}

/// What is said about one severity.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    pub(crate) some: bool,
    pub(crate) none: bool,
    pub(crate) patterns: Vec<Pattern>,
}

#[derive(Debug)]
pub(crate) enum Pattern {
    Text(String),
    Regex(String),
}

impl Pattern {
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Text(expected) => expected == text,
            Self::Regex(pattern) => {
                regex::Regex::new(pattern).expect("a valid regex").is_match(text)
            }
        }
    }
}

pub(crate) fn parse_script(text: &str) -> Result<Vec<Command>, String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let number = at + 1;
        at += 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let first = at;
        while at < lines.len() && !lines[at].is_empty() {
            at += 1;
        }
        let block: Vec<&str> =
            lines[first..at].iter().copied().filter(|line| !line.starts_with('#')).collect();
        let command = parse_command(number, line, &block);
        match command {
            Ok(Command::Clear) => {
                commands.push(Command::Clear);
                at = first; // `clear` has no block
            }
            Ok(command) => commands.push(command),
            Err(message) => return Err(format!("line {number}: {message}")),
        }
    }
    Ok(commands)
}

fn parse_command(number: usize, line: &str, block: &[&str]) -> Result<Command, String> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match word.to_ascii_lowercase().as_str() {
        "clear" => Ok(Command::Clear),
        "load" | "load_with_nhcb" => {
            let gap = duration(rest.trim())?;
            let series = block.iter().map(|line| parse_line(line)).collect::<Result<_, _>>()?;
            Ok(Command::Load { gap, with_custom_buckets: word == "load_with_nhcb", series })
        }
        word if word.starts_with("eval") => {
            parse_eval(number, word, rest.trim(), block).map(|eval| Command::Eval(Box::new(eval)))
        }
        _ => Err(format!("unknown command {line:?}")),
    }
}

fn parse_eval(number: usize, word: &str, rest: &str, block: &[&str]) -> Result<Eval, String> {
    let bad = || format!("bad evaluation {rest:?}");
    let (time, query) = if let Some(rest) = rest.strip_prefix("instant at ") {
        let (at, query) = rest.trim().split_once(char::is_whitespace).ok_or_else(bad)?;
        (EvalTime::Instant(duration(at)?), query)
    } else {
        let rest = rest.strip_prefix("range from ").ok_or_else(bad)?;
        let mut words = rest.splitn(6, char::is_whitespace);
        let mut next = || words.next().ok_or_else(bad);
        let start = duration(next()?)?;
        next()?; // to
        let end = duration(next()?)?;
        next()?; // step
        let step = duration(next()?)?;
        (EvalTime::Range { start, end, step }, next()?)
    };
    let mut eval = Eval {
        line: number,
        query: query.trim().to_owned(),
        time,
        expected: Expected::Series(Vec::new()),
        fails: word == "eval_fail",
        ordered: word == "eval_ordered",
        warnings: Annotations { some: word == "eval_warn", ..Annotations::default() },
        infos: Annotations { some: word == "eval_info", ..Annotations::default() },
        failure: Vec::new(),
    };
    for line in block {
        parse_expectation(&mut eval, line)?;
    }
    Ok(eval)
}

fn parse_expectation(eval: &mut Eval, line: &str) -> Result<(), String> {
    if let Some(message) = line.strip_prefix("expected_fail_message ") {
        eval.failure.push(Pattern::Text(message.trim().to_owned()));
        return Ok(());
    }
    if let Some(pattern) = line.strip_prefix("expected_fail_regexp ") {
        eval.failure.push(Pattern::Regex(pattern.trim().to_owned()));
        return Ok(());
    }
    if let Some(what) = line.strip_prefix("expect ") {
        return parse_expect(eval, what.trim());
    }
    if let Ok(value) = line.parse::<f64>() {
        eval.expected = Expected::Scalar(value);
        return Ok(());
    }
    let series = parse_line(line)?;
    let values = parse_values(&series.values)?;
    match &mut eval.expected {
        Expected::Series(all) | Expected::RangeVector { series: all, .. } => {
            all.push((series.labels, values));
            Ok(())
        }
        other => Err(format!("{line:?} after {other:?}")),
    }
}

fn parse_expect(eval: &mut Eval, what: &str) -> Result<(), String> {
    let (word, rest) = what.split_once(char::is_whitespace).unwrap_or((what, ""));
    let rest = rest.trim();
    let pattern = if let Some(text) = rest.strip_prefix("msg:") {
        Some(Pattern::Text(text.trim().to_owned()))
    } else {
        rest.strip_prefix("regex:").map(|text| Pattern::Regex(text.trim().to_owned()))
    };
    match word {
        "fail" => {
            eval.fails = true;
            eval.failure.extend(pattern);
        }
        "ordered" => eval.ordered = true,
        "warn" => {
            eval.warnings.some = true;
            eval.warnings.patterns.extend(pattern);
        }
        "info" => {
            eval.infos.some = true;
            eval.infos.patterns.extend(pattern);
        }
        "no_warn" => eval.warnings.none = true,
        "no_info" => eval.infos.none = true,
        "string" => match promql::parse(rest) {
            Ok(promql::Expr::String(literal)) => eval.expected = Expected::String(literal.value),
            other => return Err(format!("bad string {rest:?}: {other:?}")),
        },
        "range" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let ["vector", "from", start, "to", _, "step", step] = words[..] else {
                return Err(format!("bad range vector {rest:?}"));
            };
            let (start, step) = (duration(start)?, duration(step)?);
            eval.expected = Expected::RangeVector { start, step, series: Vec::new() };
        }
        _ => return Err(format!("unknown expectation {what:?}")),
    }
    Ok(())
}

/// Milliseconds of a duration with an optional sign.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, text.trim_start_matches('+')),
    };
    let parsed = model::duration::parse(unsigned);
    let parsed = parsed.map_err(|error| format!("{text}: {error}"))?;
    Ok(sign * model::time::millis(parsed))
}
