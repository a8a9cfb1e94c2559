//! What a query answers.

use std::sync::Arc;

use model::histogram::FloatHistogram;
use model::{Labels, Sample, Timestamp};

use crate::annotations::Annotations;
use crate::ast::ValueType;

#[derive(Clone, Debug)]
pub struct Answer {
    pub value: Value,
    pub annotations: Annotations,
}

#[derive(Clone, Debug)]
pub enum Value {
    Scalar(Sample),
    String(StringValue),
    /// In no particular order, unless the outermost expression sorts.
    Vector(Vec<VectorSample>),
    /// Sorted by labels.
    Matrix(Vec<MatrixSeries>),
}

impl Value {
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::Scalar(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Vector(_) => ValueType::Vector,
            Self::Matrix(_) => ValueType::Matrix,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringValue {
    pub timestamp: Timestamp,
    pub value: String,
}

#[derive(Clone, Debug)]
pub struct VectorSample {
    pub labels: Labels,
    pub timestamp: Timestamp,
    pub value: SampleValue,
}

#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl SampleValue {
    pub const fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }
}

/// Both kinds of samples in order of time; no time is in both.
#[derive(Clone, Debug)]
pub struct MatrixSeries {
    pub labels: Labels,
    pub samples: Vec<Sample>,
    pub histograms: Vec<(Timestamp, Arc<FloatHistogram>)>,
}
