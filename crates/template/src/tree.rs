//! A parsed template.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Value;
use crate::lex::Span;

/// A template that was parsed, and the templates that it defines. Clones share all of it.
#[derive(Clone, Debug)]
pub struct Template {
    pub(crate) source: Arc<Source>,
    pub(crate) root: Arc<[Node]>,
    pub(crate) defined: Arc<BTreeMap<String, Arc<[Node]>>>,
}

/// Where errors point into.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    /// Line from 1, and column in bytes from 0.
    pub(crate) fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        (line, before.len() - line_start)
    }
}

#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    /// Prints its value, unless it declares or assigns.
    Action(Pipeline),
    If(Branch),
    With(Branch),
    Range(Branch),
    Include {
        name: String,
        data: Option<Pipeline>,
        span: Span,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) condition: Pipeline,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    /// Names to set to the pipeline's value; `range` may set two.
    pub(crate) variables: Vec<String>,
    /// `:=` makes the variables; `=` sets those that are there.
    pub(crate) declares: bool,
    pub(crate) commands: Vec<Command>,
    pub(crate) span: Span,
}

/// One operand, or a function or method and its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) operands: Vec<Operand>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) kind: OperandKind,
    /// `.a.b` behind the operand.
    pub(crate) fields: Vec<String>,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum OperandKind {
    Dot,
    Literal(Value),
    Variable(String),
    Function(String),
    Pipeline(Pipeline),
}
