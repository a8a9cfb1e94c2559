//! What stands around each selector of a tree.
//!
//! Source: Prometheus `promql/engine.go`, `populateSeries` and `detectHistogramStatsDecoding`.

use storage::Grouping;

use super::pushdown;
use crate::ast::{Aggregate, Call, Expr, ValueType, VectorSelector};

/// The surroundings of all selectors, by where these stand.
#[derive(Debug, Default)]
pub(super) struct Contexts(Vec<(usize, Context)>);

#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    /// The function or aggregation that takes the selected series.
    pub(super) function: Option<&'static str>,
    /// See [`storage::SelectionHints::grouping`].
    pub(super) grouping: Option<Grouping>,
    /// Of histograms nothing but count and sum is looked at.
    pub(super) only_stats: bool,
}

impl Contexts {
    pub(super) fn new(expr: &Expr) -> Self {
        let mut contexts = Self::default();
        contexts.walk(expr, &Context::default());
        contexts
    }

    pub(super) fn of(&self, selector: &VectorSelector) -> Context {
        let start = selector.position.start;
        let found = self.0.iter().find(|(at, _)| *at == start);
        found.map(|(_, context)| context.clone()).unwrap_or_default()
    }

    fn walk(&mut self, expr: &Expr, context: &Context) {
        match expr {
            Expr::Vector(selector) => self.add(selector, context),
            Expr::Matrix(selector) => self.add(&selector.vector, context),
            Expr::Aggregate(aggregate) => {
                if let Some(parameter) = &aggregate.parameter {
                    self.walk(parameter, &Context::default());
                }
                self.walk(&aggregate.inner, &context.within_aggregate(aggregate));
            }
            Expr::Call(call) => {
                let within = context.within_call(call);
                call.args.iter().for_each(|arg| self.walk(arg, &within));
            }
            Expr::Binary(binary) => {
                let vectors = [&binary.lhs, &binary.rhs].map(Expr::value_type);
                let grouping = match vectors {
                    [ValueType::Vector, ValueType::Vector] => None,
                    _ => context.grouping.clone(),
                };
                let within = Context { function: None, grouping, ..*context };
                self.walk(&binary.lhs, &within);
                self.walk(&binary.rhs, &within);
            }
            Expr::Subquery(subquery) => {
                let within = Context { function: None, only_stats: false, ..context.clone() };
                self.walk(&subquery.inner, &within);
            }
            Expr::Paren(_) | Expr::Unary(_) => {
                expr.children().into_iter().for_each(|child| self.walk(child, context));
            }
            Expr::Number(_) | Expr::String(_) => {}
        }
    }

    fn add(&mut self, selector: &VectorSelector, context: &Context) {
        self.0.push((selector.position.start, context.clone()));
    }
}

impl Context {
    fn within_aggregate(&self, aggregate: &Aggregate) -> Self {
        let grouping = Some(pushdown::grouping(aggregate));
        Self { function: Some(aggregate.op.as_str()), grouping, ..*self }
    }

    fn within_call(&self, call: &Call) -> Self {
        let name = call.function.name;
        let only_stats = match name {
            "histogram_count" | "histogram_sum" | "histogram_avg" => true,
            "histogram_quantile" | "histogram_fraction" => false,
            _ => self.only_stats,
        };
        let grouping = self.grouping.clone().filter(|_| pushdown::is_of_one_series(call));
        Self { function: Some(name), grouping, only_stats }
    }
}
