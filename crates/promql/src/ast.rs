//! What a query means, as a tree. Every node knows where it stood in the query.

use std::fmt;

use model::Matcher;

use crate::functions::Function;
use crate::position::Position;

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    Scalar,
    Vector,
    Matrix,
    String,
}

impl ValueType {
    /// In the words of Prometheus' documentation and error messages.
    pub const fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }

    /// As the HTTP API names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Number(NumberLiteral),
    String(StringLiteral),
    Paren(Paren),
    Unary(Unary),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Call),
    Vector(VectorSelector),
    Matrix(MatrixSelector),
    Subquery(Box<Subquery>),
}

impl Expr {
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Paren(paren) => paren.inner.value_type(),
            Self::Unary(unary) => unary.inner.value_type(),
            Self::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            Self::Aggregate(_) | Self::Vector(_) => ValueType::Vector,
            Self::Call(call) => call.function.returns,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
        }
    }

    pub fn position(&self) -> Position {
        match self {
            Self::Number(number) => number.position,
            Self::String(string) => string.position,
            Self::Paren(paren) => paren.position,
            Self::Unary(unary) => Position::new(unary.start, unary.inner.position().end),
            Self::Binary(binary) => binary.lhs.position().to(binary.rhs.position()),
            Self::Aggregate(aggregate) => aggregate.position,
            Self::Call(call) => call.position,
            Self::Vector(selector) => selector.position,
            Self::Matrix(selector) => Position::new(selector.vector.position.start, selector.end),
            Self::Subquery(subquery) => {
                Position::new(subquery.inner.position().start, subquery.end)
            }
        }
    }

    /// The expression inside any number of parentheses.
    pub fn unwrapped(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(paren) = expr {
            expr = &paren.inner;
        }
        expr
    }

    /// The expressions directly below this one, in the order of the query.
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => Vec::new(),
            Self::Paren(paren) => vec![&paren.inner],
            Self::Unary(unary) => vec![&unary.inner],
            Self::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            Self::Aggregate(aggregate) => {
                aggregate.parameter.iter().chain([&aggregate.inner]).collect()
            }
            Self::Call(call) => call.args.iter().collect(),
            Self::Subquery(subquery) => vec![&subquery.inner],
        }
    }

    /// Calls `visit` for every selector below, the ones inside range selectors included.
    pub fn for_each_selector<'a>(&'a self, visit: &mut impl FnMut(&'a VectorSelector)) {
        match self {
            Self::Vector(selector) => visit(selector),
            Self::Matrix(selector) => visit(&selector.vector),
            _ => {
                for child in self.children() {
                    child.for_each_selector(visit);
                }
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct NumberLiteral {
    pub value: f64,
    /// Written as a duration, such as `5m`; the value is then in seconds.
    pub is_duration: bool,
    pub position: Position,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StringLiteral {
    /// What is between the quotes, escapes resolved. Bytes that are not UTF-8 are replaced.
    pub value: String,
    /// False where escapes made up bytes that are not UTF-8.
    pub is_utf8: bool,
    /// As it stood in the query, quotes included.
    pub source: String,
    pub position: Position,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Paren {
    pub inner: Box<Expr>,
    pub position: Position,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    pub negative: bool,
    pub inner: Box<Expr>,
    pub start: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `</`: drops a histogram's observations above a value.
    TrimUpper,
    /// `>/`: drops a histogram's observations below a value.
    TrimLower,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    pub const fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessOrEqual
                | Self::Greater
                | Self::GreaterOrEqual
        )
    }

    pub const fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// Whether the result is another metric than the left operand: the metric name goes.
    pub const fn changes_metric(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Mod | Self::Pow | Self::Atan2
        )
    }

    /// Higher binds tighter; all but `^` group to the left.
    pub(crate) const fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual
            | Self::TrimUpper
            | Self::TrimLower => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
        }
    }
}

impl fmt::Display for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub lhs: Expr,
    pub rhs: Expr,
    /// Compare to 0 or 1 instead of filtering.
    pub returns_bool: bool,
    /// How the series of two vectors find each other; of no effect where an operand is a scalar.
    pub matching: Matching,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    pub cardinality: Cardinality,
    /// `on(labels)`; otherwise `ignoring(labels)`.
    pub on: bool,
    pub labels: Vec<String>,
    /// Labels that `group_left` and `group_right` take from the "one" side.
    pub include: Vec<String>,
    /// What stands in for a left sample that is missing.
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    CountValues,
    Quantile,
    LimitK,
    LimitRatio,
}

impl AggregateOp {
    pub const ALL: [Self; 14] = [
        Self::Sum,
        Self::Avg,
        Self::Count,
        Self::Min,
        Self::Max,
        Self::Group,
        Self::Stddev,
        Self::Stdvar,
        Self::TopK,
        Self::BottomK,
        Self::CountValues,
        Self::Quantile,
        Self::LimitK,
        Self::LimitRatio,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::TopK => "topk",
            Self::BottomK => "bottomk",
            Self::CountValues => "count_values",
            Self::Quantile => "quantile",
            Self::LimitK => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str() == word)
    }

    pub const fn has_parameter(self) -> bool {
        matches!(
            self,
            Self::TopK
                | Self::BottomK
                | Self::CountValues
                | Self::Quantile
                | Self::LimitK
                | Self::LimitRatio
        )
    }

    pub const fn is_experimental(self) -> bool {
        matches!(self, Self::LimitK | Self::LimitRatio)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub op: AggregateOp,
    pub inner: Expr,
    pub parameter: Option<Expr>,
    pub grouping: Vec<String>,
    /// `without (grouping)`; otherwise `by (grouping)`.
    pub without: bool,
    pub position: Position,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub function: &'static Function,
    pub args: Vec<Expr>,
    pub position: Position,
}

#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// Set where the name stands before the braces; it is among the matchers as well.
    pub name: Option<String>,
    pub matchers: Vec<Matcher>,
    pub time: Modifiers,
    pub extension: Extension,
    pub position: Position,
}

impl VectorSelector {
    /// The metric name that every series of this selector has, if the selector says so.
    pub fn exact_name(&self) -> Option<&str> {
        self.matchers
            .iter()
            .find(|m| m.name() == model::METRIC_NAME && m.op() == model::MatchOp::Equal)
            .map(Matcher::value)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    pub vector: VectorSelector,
    pub range: Span,
    pub end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    pub inner: Expr,
    pub range: Span,
    /// Without one, the evaluation interval of rules.
    pub step: Option<Span>,
    pub time: Modifiers,
    pub end: usize,
}

/// `@` and `offset`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Modifiers {
    pub at: Option<At>,
    pub offset: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Milliseconds since the epoch.
    Millis(i64),
    Start,
    End,
}

/// How a range selector treats its boundaries (`promql-extended-range-selectors`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extension {
    #[default]
    None,
    /// The sample before the range stands for its start.
    Anchored,
    /// Values at both boundaries are interpolated.
    Smoothed,
}

/// A length of time in a selector: a literal or an expression of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    Millis(i64),
    Expr(Box<DurationExpr>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    pub kind: DurationKind,
    pub position: Position,
}

/// All values are seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    Literal(NumberLiteral),
    Step,
    Range,
    Paren(Box<DurationExpr>),
    Negative(Box<DurationExpr>),
    Positive(Box<DurationExpr>),
    Min(Box<DurationExpr>, Box<DurationExpr>),
    Max(Box<DurationExpr>, Box<DurationExpr>),
    /// One of the arithmetic operators.
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
}
