//! Functions that order the result of an instant query.

use std::cmp::Ordering;

use super::{Evaluated, Evaluation, Grid, Series, string};
use crate::ast::Call;

impl Evaluation<'_> {
    /// Has no effect on what a range query returns: that is sorted by labels.
    pub(super) fn sort(&self, call: &Call, grid: &Grid) -> Evaluated<Vec<Series>> {
        if grid.count > 1 {
            self.annotate(|notes| notes.sort_in_range_query(call.position));
        }
        let vector = self.vector(&call.args[0], grid)?;
        let names: Vec<&str> =
            call.args[1..].iter().map(|arg| string(arg).value.as_str()).collect();
        match call.function.name {
            "sort" => self.ordered(floats(vector), |a, b| by_value(a, b, f64::total_cmp)),
            "sort_desc" => {
                self.ordered(floats(vector), |a, b| by_value(a, b, |a, b| b.total_cmp(a)))
            }
            "sort_by_label" => self.ordered(vector, |a, b| by_labels(a, b, &names)),
            _ => self.ordered(vector, |a, b| by_labels(b, a, &names)),
        }
    }
}

/// Histograms are dropped.
fn floats(mut vector: Vec<Series>) -> Vec<Series> {
    for series in &mut vector {
        series.column.drop_histograms();
    }
    vector.retain(|series| !series.column.is_empty());
    vector
}

/// Values that are not numbers come last.
fn by_value(a: &Series, b: &Series, order: fn(&f64, &f64) -> Ordering) -> Ordering {
    match (a.column.float(0), b.column.float(0)) {
        (Some(a), Some(b)) => a.is_nan().cmp(&b.is_nan()).then_with(|| match a.is_nan() {
            true => Ordering::Equal,
            false if a == b => Ordering::Equal, // the two zeros
            false => order(&a, &b),
        }),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn by_labels(a: &Series, b: &Series, names: &[&str]) -> Ordering {
    for name in names {
        match natural_order(a.labels.value(name), b.labels.value(name)) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    a.labels.cmp(&b.labels)
}

/// Runs of digits compare as numbers: `node-9` comes before `node-10`.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (runs(a), runs(b));
    loop {
        let (left, right) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => (left, right),
        };
        let digits = |run: &str| run.starts_with(|c: char| c.is_ascii_digit());
        let order = if digits(left) && digits(right) {
            let (x, y) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y)).then_with(|| left.cmp(right))
        } else {
            left.cmp(right)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Cuts `text` where digits begin or end.
fn runs(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let first = text.chars().next()?;
        let is_digit = first.is_ascii_digit();
        let end = text.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(text.len());
        let (run, rest) = text.split_at(end);
        text = rest;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_labels_count_as_numbers() {
        let mut names = ["cpu10", "cpu9", "b", "cpu09", "", "cpu", "cpu10a2", "cpu10a10"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["", "b", "cpu", "cpu09", "cpu9", "cpu10", "cpu10a2", "cpu10a10"]);
    }
}
