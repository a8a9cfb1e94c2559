//! Scalar expressions: one value for each time of a grid.

use super::{Evaluated, Evaluation, Grid, binary, math};
use crate::ast::{Call, Expr};

impl Evaluation<'_> {
    /// The values of a scalar expression, one per time.
    pub(super) fn scalar(&self, expr: &Expr, grid: &Grid) -> Evaluated<Vec<f64>> {
        self.limits.check()?;
        if self.evaluates_once(expr, grid) {
            let once = self.meter.repeated(grid.count, || self.scalar(expr, &grid.first()))?;
            return self.constant(once[0], grid.count);
        }
        Ok(match expr {
            Expr::Number(number) => self.constant(number.value, grid.count)?,
            Expr::Paren(paren) => self.scalar(&paren.inner, grid)?,
            Expr::Unary(unary) => {
                let mut values = self.scalar(&unary.inner, grid)?;
                if unary.negative {
                    values.iter_mut().for_each(|value| *value = -*value);
                }
                values
            }
            Expr::Binary(binary) => {
                let op = |left, right| binary::scalars(binary.op, left, right);
                self.scalars([&binary.lhs, &binary.rhs], grid, op)?
            }
            Expr::Call(call) => self.scalar_call(call, grid)?,
            other => unreachable!("type-checked to be a scalar: {other}"),
        })
    }

    fn scalar_call(&self, call: &Call, grid: &Grid) -> Evaluated<Vec<f64>> {
        let seconds = |millis: i64| millis as f64 / 1000.0;
        let constant = |value: f64| self.constant(value, grid.count);
        match call.function.name {
            "pi" => constant(std::f64::consts::PI),
            "time" => {
                let mut times = constant(0.0)?;
                for (value, time) in times.iter_mut().zip(grid.times()) {
                    *value = seconds(time);
                }
                Ok(times)
            }
            "start" => constant(seconds(self.query.start)),
            "end" => constant(seconds(self.query.end())),
            "step" => constant(seconds(self.query.step)),
            "range" => constant(seconds(self.query.end() - self.query.start)),
            "min_of" => self.scalars([&call.args[0], &call.args[1]], grid, math::min),
            "max_of" => self.scalars([&call.args[0], &call.args[1]], grid, math::max),
            "scalar" => self.scalar_of_vector(&call.args[0], grid),
            name => unreachable!("no such function gives a scalar: {name}"),
        }
    }

    fn scalars(
        &self,
        [left, right]: [&Expr; 2],
        grid: &Grid,
        op: impl Fn(f64, f64) -> f64,
    ) -> Evaluated<Vec<f64>> {
        let mut left = self.scalar(left, grid)?;
        let right = self.scalar(right, grid)?;
        for (left, right) in left.iter_mut().zip(&right) {
            *left = op(*left, *right);
        }
        self.release_scalar(&right);
        Ok(left)
    }

    /// The one float of the vector, where there is just one; otherwise NaN.
    fn scalar_of_vector(&self, expr: &Expr, grid: &Grid) -> Evaluated<Vec<f64>> {
        let vector = self.vector(expr, grid)?;
        let mut values = self.constant(f64::NAN, grid.count)?;
        for (step, value) in values.iter_mut().enumerate() {
            self.limits.check()?;
            let mut floats = vector.iter().filter_map(|series| series.column.float(step));
            if let (Some(only), None) = (floats.next(), floats.next()) {
                *value = only;
            }
        }
        self.release(&vector);
        Ok(values)
    }
}
