//! The functions of the language: names and types.
//!
//! Source: Prometheus `promql/parser/functions.go`.

use crate::ast::ValueType::{self, Matrix, Scalar, String, Vector};

/// A function's signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    pub args: &'static [ValueType],
    pub optional: Optional,
    pub returns: ValueType,
    /// Needs `--enable-feature=promql-experimental-functions`.
    pub experimental: bool,
}

/// Whether the last of a function's arguments must be given exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optional {
    No,
    /// May be left out, or given up to this often.
    UpTo(usize),
    Any,
}

impl Function {
    pub fn find(name: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }

    const fn new(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Self {
        Self { name, args, optional: Optional::No, returns, experimental: false }
    }

    const fn optional(mut self, optional: Optional) -> Self {
        self.optional = optional;
        self
    }

    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }
}

/// Float to float, sample by sample.
const fn each(name: &'static str) -> Function {
    Function::new(name, &[Vector], Vector)
}

/// A range of samples to one.
const fn over_time(name: &'static str) -> Function {
    Function::new(name, &[Matrix], Vector)
}

/// A part of a date, of now by default.
const fn date(name: &'static str) -> Function {
    Function::new(name, &[Vector], Vector).optional(Optional::UpTo(1))
}

pub static FUNCTIONS: &[Function] = &[
    each("abs"),
    each("absent"),
    over_time("absent_over_time"),
    each("acos"),
    each("acosh"),
    each("asin"),
    each("asinh"),
    each("atan"),
    each("atanh"),
    over_time("avg_over_time"),
    each("ceil"),
    over_time("changes"),
    Function::new("clamp", &[Vector, Scalar, Scalar], Vector),
    Function::new("clamp_max", &[Vector, Scalar], Vector),
    Function::new("clamp_min", &[Vector, Scalar], Vector),
    each("cos"),
    each("cosh"),
    over_time("count_over_time"),
    date("day_of_month"),
    date("day_of_week"),
    date("day_of_year"),
    date("days_in_month"),
    each("deg"),
    over_time("delta"),
    over_time("deriv"),
    Function::new("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector).experimental(),
    Function::new("end", &[], Scalar).experimental(),
    each("exp"),
    over_time("first_over_time").experimental(),
    each("floor"),
    each("histogram_avg"),
    each("histogram_count"),
    Function::new("histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    Function::new("histogram_quantile", &[Scalar, Vector], Vector),
    Function::new("histogram_quantiles", &[Vector, String, Scalar, Scalar], Vector)
        .optional(Optional::UpTo(9))
        .experimental(),
    each("histogram_stddev"),
    each("histogram_stdvar"),
    each("histogram_sum"),
    date("hour"),
    over_time("idelta"),
    over_time("increase"),
    Function::new("info", &[Vector, Vector], Vector).optional(Optional::UpTo(1)).experimental(),
    over_time("irate"),
    Function::new("label_join", &[Vector, String, String, String], Vector).optional(Optional::Any),
    Function::new("label_replace", &[Vector, String, String, String, String], Vector),
    over_time("last_over_time"),
    each("ln"),
    each("log10"),
    each("log2"),
    over_time("mad_over_time").experimental(),
    Function::new("max_of", &[Scalar, Scalar], Scalar).experimental(),
    over_time("max_over_time"),
    Function::new("min_of", &[Scalar, Scalar], Scalar).experimental(),
    over_time("min_over_time"),
    date("minute"),
    date("month"),
    Function::new("pi", &[], Scalar),
    Function::new("predict_linear", &[Matrix, Scalar], Vector),
    over_time("present_over_time"),
    Function::new("quantile_over_time", &[Scalar, Matrix], Vector),
    each("rad"),
    Function::new("range", &[], Scalar).experimental(),
    over_time("rate"),
    over_time("resets"),
    Function::new("round", &[Vector, Scalar], Vector).optional(Optional::UpTo(1)),
    Function::new("scalar", &[Vector], Scalar),
    each("sgn"),
    each("sin"),
    each("sinh"),
    each("sort"),
    Function::new("sort_by_label", &[Vector, String], Vector)
        .optional(Optional::Any)
        .experimental(),
    Function::new("sort_by_label_desc", &[Vector, String], Vector)
        .optional(Optional::Any)
        .experimental(),
    each("sort_desc"),
    each("sqrt"),
    Function::new("start", &[], Scalar).experimental(),
    each("start_timestamp").experimental(),
    over_time("stddev_over_time"),
    over_time("stdvar_over_time"),
    Function::new("step", &[], Scalar).experimental(),
    over_time("sum_over_time"),
    each("tan"),
    each("tanh"),
    Function::new("time", &[], Scalar),
    each("timestamp"),
    over_time("ts_of_first_over_time").experimental(),
    over_time("ts_of_last_over_time").experimental(),
    over_time("ts_of_max_over_time").experimental(),
    over_time("ts_of_min_over_time").experimental(),
    Function::new("vector", &[Scalar], Vector),
    date("year"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_listed_once_and_in_order() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
    }
}
