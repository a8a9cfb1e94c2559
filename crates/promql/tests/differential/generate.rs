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
];
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
const AGGREGATIONS: &[&str] = &["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
const LABELS: &[&str] = &["job", "instance", "code", "le", "version", "absent_label"];
const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "^", "==", "!=", "<", "<=", ">", ">="];
const RANGES: &[&str] = &["1m", "2m", "5m", "20m", "90s"];

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
        let depth = 1 + self.below(3);
        self.vector(depth)
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len())]
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.selector();
        }
        let depth = depth - 1;
        match self.below(12) {
            0 => self.selector(),
            1..=3 => self.range_function(depth),
            4 => {
                let (function, inner) = (self.pick(FUNCTIONS), self.vector(depth));
                format!("{function}({inner})")
            }
            5 | 6 => {
                let (operation, inner) = (self.pick(AGGREGATIONS), self.vector(depth));
                let (grouping, labels) = (self.pick(&["by", "without"]), self.labels());
                format!("{operation} {grouping} ({labels}) ({inner})")
            }
            7 => {
                let operation = self.pick(&["topk(2, ", "bottomk(3, ", "quantile(0.7, "]);
                format!("{operation}{})", self.selector())
            }
            8 => {
                let (vector, operator) = (self.vector(depth), self.pick(OPERATORS));
                let number = self.pick(&["0", "1", "2.5", "50", "Inf", "-3"]);
                let comparison = operator.starts_with(['=', '!', '<', '>']);
                let modifier = if comparison && self.random.bool() { "bool " } else { "" };
                match self.random.bool() {
                    true => format!("({vector}) {operator} {modifier}{number}"),
                    false => format!("{number} {operator} {modifier}({vector})"),
                }
            }
            9 => {
                let (left, right) = (self.vector(depth), self.vector(depth));
                let operator = self.pick(OPERATORS);
                let matching = match self.below(4) {
                    0 => String::new(),
                    1 => format!("ignoring ({}) ", self.labels()),
                    2 => format!("on ({}) ", self.labels()),
                    _ => {
                        let side = self.pick(&["group_left", "group_right"]);
                        format!("on (instance) {side} (version) ")
                    }
                };
                format!("({left}) {operator} {matching}({right})")
            }
            10 => {
                let (left, right) = (self.vector(depth), self.vector(depth));
                let operator = self.pick(&["and", "or", "unless"]);
                let matching = match self.below(3) {
                    0 => String::new(),
                    1 => format!("ignoring ({}) ", self.labels()),
                    _ => format!("on ({}) ", self.labels()),
                };
                format!("({left}) {operator} {matching}({right})")
            }
            _ => {
                let vector = self.vector(depth);
                format!("label_replace({vector}, \"new\", \"$1\", \"instance\", \"(.*)\")")
            }
        }
    }

    fn selector(&mut self) -> String {
        let selector = self.pick(SELECTORS);
        let modifier = self.pick(&["", "", "", " offset 3m", " offset -2m", " @ 1700001613"]);
        format!("{selector}{modifier}")
    }

    fn range_function(&mut self, depth: usize) -> String {
        let (function, range) = (self.pick(RANGE_FUNCTIONS), self.pick(RANGES));
        let range_vector = if depth > 0 && self.below(4) == 0 {
            let (inner, step) = (self.vector(depth - 1), self.pick(&["10s", "30s", "1m", ""]));
            format!("({inner})[{range}:{step}]")
        } else {
            format!("{}[{range}]", self.pick(SELECTORS))
        };
        match self.below(8) {
            0 => format!("quantile_over_time(0.3, {range_vector})"),
            1 => format!("predict_linear({range_vector}, 600)"),
            _ => format!("{function}({range_vector})"),
        }
    }

    fn labels(&mut self) -> String {
        let count = self.below(3);
        let labels: Vec<&str> = (0..count).map(|_| self.pick(LABELS)).collect();
        labels.join(", ")
    }
}
