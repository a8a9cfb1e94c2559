//! Makes up queries, the same ones for the same seed.

const SELECTORS: &[&str] = &[
    "requests_total",
    "requests_total{code=\"200\"}",
    "requests_total{instance=~\"a|b\"}",
    "gauge",
    "gauge{job!=\"x\"}",
    "up",
    "build_info",
    "latency_seconds_bucket{le=\"1\"}",
    "gone",
    "returned",
    "sparse{shard!~\"1|2\"}",
];
/// Values that are unlikely to be equal: of equal ones, which are kept is chance.
const UNEQUAL: &[&str] = &["gauge", "gauge{job!=\"x\"}", "sparse", "deriv(gauge[5m])"];
const RANGE_FUNCTIONS: &[&str] = &[
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "resets",
    "changes",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
];
const FUNCTIONS: &[&str] =
    &["abs", "ceil", "floor", "sqrt", "sgn", "exp", "ln", "-", "+", "round", "timestamp"];
const AGGREGATIONS: &[&str] = &["sum", "avg", "min", "max", "count", "group"];
const LABELS: &[&str] = &["job", "instance", "code", "le", "version", "shard", "absent_label"];
const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "^"];
const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
const RANGES: &[&str] = &["1m", "2m", "5m", "20m", "90s"];
const NUMBERS: &[&str] = &["0", "1", "2.5", "50", "Inf", "-3", "1e3", "0x1F", "NaN"];
const TIMES: &[&str] = &[
    "",
    "",
    "",
    " offset 3m",
    " offset -2m",
    " @ 1700001613",
    " @ start()",
    " @ end() offset 1m",
    " offset 90s @ 1700001613.5",
];

#[derive(Debug)]
pub(crate) struct Generator {
    random: fastrand::Rng,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed) }
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.random.usize(0..limit)
    }

    /// An instant vector expression.
    pub(crate) fn query(&mut self) -> String {
        let depth = 1 + self.below(4);
        self.vector(depth)
    }

    /// A query with a few characters missing, doubled or exchanged, so that it may not be one.
    pub(crate) fn damaged(&mut self) -> String {
        let mut tokens = tokens(&self.query());
        for _ in 0..=self.below(2) {
            let at = self.below(tokens.len());
            match self.below(3) {
                0 if tokens.len() > 1 => drop(tokens.remove(at)),
                1 => tokens.insert(at, tokens[at].clone()),
                _ => {
                    let other = self.below(tokens.len());
                    tokens.swap(at, other);
                }
            }
        }
        tokens.concat()
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len())]
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.selector();
        }
        let depth = depth - 1;
        match self.below(17) {
            0 => self.selector(),
            1..=3 => self.range_function(depth),
            4 => {
                let (function, inner) = (self.pick(FUNCTIONS), self.vector(depth));
                format!("{function}({inner})")
            }
            5 | 6 => self.aggregation(depth),
            7 => self.aggregation_with_parameter(depth),
            8 | 9 => self.with_scalar(depth),
            10 | 11 => self.of_two_vectors(depth),
            12 => self.set_operation(depth),
            13 => self.histogram_quantile(),
            14 => self.labels_function(depth),
            15 => format!("vector({})", self.scalar(depth)),
            _ => self.absence(depth),
        }
    }

    fn selector(&mut self) -> String {
        let (selector, time) = (self.pick(SELECTORS), self.pick(TIMES));
        format!("{selector}{time}")
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.below(6) {
            0 | 1 => self.pick(NUMBERS).to_owned(),
            2 => "time()".to_owned(),
            3 => format!("scalar({})", self.vector(depth)),
            4 if depth > 0 => {
                let (left, right) = (self.scalar(depth - 1), self.scalar(depth - 1));
                match self.random.bool() {
                    true => format!("{left} {} {right}", self.pick(ARITHMETIC)),
                    false => format!("({left} {} bool {right})", self.pick(COMPARISONS)),
                }
            }
            _ => "-pi()".to_owned(),
        }
    }

    fn range_function(&mut self, depth: usize) -> String {
        let (function, ranges) = (self.pick(RANGE_FUNCTIONS), self.ranges(depth));
        match self.below(9) {
            0 => format!("quantile_over_time({}, {ranges})", self.pick(&["0.3", "1", "-1", "2"])),
            // Version 2 moves its range on even where `@` pins it.
            1 if !ranges.contains('@') => format!("predict_linear({ranges}, {})", self.scalar(0)),
            _ => format!("{function}({ranges})"),
        }
    }

    fn ranges(&mut self, depth: usize) -> String {
        let (range, time) = (self.pick(RANGES), self.pick(TIMES));
        if depth > 0 && self.below(3) == 0 {
            let (inner, step) = (self.vector(depth - 1), self.pick(&["10s", "30s", "1m", ""]));
            format!("({inner})[{range}:{step}]{time}")
        } else {
            format!("{}[{range}]{time}", self.pick(SELECTORS))
        }
    }

    fn aggregation(&mut self, depth: usize) -> String {
        let (operation, inner) = (self.pick(AGGREGATIONS), self.vector(depth));
        let grouping = self.grouping();
        match self.random.bool() {
            true => format!("{operation}{grouping}({inner})"),
            false => format!("{operation}({inner}){grouping}"),
        }
    }

    fn aggregation_with_parameter(&mut self, depth: usize) -> String {
        let grouping = self.grouping();
        match self.below(5) {
            // Of finite values only: of others, version 2 does not say that they deviate.
            4 => {
                let operation = self.pick(&["stddev", "stdvar"]);
                format!("{operation}{grouping}({})", self.pick(UNEQUAL))
            }
            0 => {
                let (number, inner) = (self.pick(&["0", "0.7", "1.5", "-1"]), self.vector(depth));
                format!("quantile{grouping}({number}, {inner})")
            }
            1 => {
                let inner = self.vector(depth);
                format!("count_values{grouping}(\"value\", round({inner} / 40))")
            }
            _ => {
                let operation = self.pick(&["topk", "bottomk"]);
                let (number, inner) = (self.pick(&["0", "1", "2", "9", "-1"]), self.pick(UNEQUAL));
                format!("{operation}{grouping}({number}, {inner})")
            }
        }
    }

    fn grouping(&mut self) -> String {
        match self.below(4) {
            0 => String::new(),
            1 => format!(" without ({}) ", self.labels()),
            _ => format!(" by ({}) ", self.labels()),
        }
    }

    fn with_scalar(&mut self, depth: usize) -> String {
        let (vector, scalar, operator) = (self.vector(depth), self.scalar(depth), self.operator());
        match self.random.bool() {
            true => format!("({vector}) {operator} {scalar}"),
            false => format!("{scalar} {operator} ({vector})"),
        }
    }

    fn operator(&mut self) -> String {
        match self.below(4) {
            0 => self.pick(COMPARISONS).to_owned(),
            1 => format!("{} bool", self.pick(COMPARISONS)),
            _ => self.pick(ARITHMETIC).to_owned(),
        }
    }

    fn of_two_vectors(&mut self, depth: usize) -> String {
        let (left, right, operator) = (self.vector(depth), self.vector(depth), self.operator());
        let matching = match self.below(5) {
            0 => String::new(),
            1 => format!("ignoring ({}) ", self.labels()),
            2 => format!("on ({}) ", self.labels()),
            3 => {
                let (side, included) = (self.pick(&["group_left", "group_right"]), self.labels());
                format!("ignoring (code, le) {side} ({included}) ")
            }
            _ => {
                let side = self.pick(&["group_left", "group_right"]);
                format!("on (instance) {side} (version) ")
            }
        };
        format!("({left}) {operator} {matching}({right})")
    }

    fn set_operation(&mut self, depth: usize) -> String {
        let (left, right) = (self.vector(depth), self.vector(depth));
        let operator = self.pick(&["and", "or", "unless"]);
        let matching = match self.below(3) {
            0 => String::new(),
            1 => format!("ignoring ({}) ", self.labels()),
            _ => format!("on ({}) ", self.labels()),
        };
        format!("({left}) {operator} {matching}({right})")
    }

    fn histogram_quantile(&mut self) -> String {
        let q = self.pick(&["0", "0.5", "0.9", "1", "-1", "NaN"]);
        let rate = format!("rate(latency_seconds_bucket[{}])", self.pick(RANGES));
        match self.below(3) {
            0 => format!("histogram_quantile({q}, latency_seconds_bucket{})", self.pick(TIMES)),
            1 => format!("histogram_quantile({q}, {rate})"),
            _ => format!("histogram_quantile({q}, sum by (le, {}) ({rate}))", self.pick(LABELS)),
        }
    }

    fn labels_function(&mut self, depth: usize) -> String {
        let vector = self.vector(depth);
        let (target, source) = (self.pick(LABELS), self.pick(LABELS));
        match self.below(3) {
            0 => format!("label_join({vector}, \"{target}\", \"-\", \"job\", \"{source}\")"),
            1 => format!(
                "label_replace({vector}, \"new\", \"$1-${{2}}\", \"{source}\", \"(.)(.*)\")"
            ),
            _ => format!("label_replace({vector}, \"{target}\", \"\", \"{source}\", \"[a-c]\")"),
        }
    }

    fn absence(&mut self, depth: usize) -> String {
        match self.below(4) {
            0 => format!("absent({})", self.selector()),
            1 => format!("absent_over_time({})", self.ranges(depth)),
            2 => format!("clamp({}, {}, 60)", self.vector(depth), self.scalar(0)),
            _ => format!("{}({})", self.pick(&["hour", "year", "day_of_week"]), self.vector(depth)),
        }
    }

    fn labels(&mut self) -> String {
        let count = self.below(3);
        let labels: Vec<&str> = (0..count).map(|_| self.pick(LABELS)).collect();
        labels.join(", ")
    }
}

/// Words, numbers, strings, and everything else character by character.
fn tokens(query: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut quoted = false;
    for c in query.chars() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let last = tokens.last_mut().filter(|last| {
            quoted
                || (is_word(c) && last.ends_with(is_word))
                || (c == '=' && last.ends_with(['!', '<', '>', '=']))
        });
        match last {
            Some(last) => last.push(c),
            None => tokens.push(c.to_string()),
        }
        quoted ^= c == '"';
    }
    tokens
}
