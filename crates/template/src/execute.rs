//! Runs a [`Template`].

use std::fmt::Write;

use crate::builtins::{Bounded, too_large};
use crate::lex::Span;
use crate::tree::{Branch, Command, Node, Operand, OperandKind, Pipeline};
use crate::{DEPTH_MAX, Functions, ITERATIONS_MAX, Template, Value, time};

/// As much of the template as an error quotes.
const QUOTE_CHARS_MAX: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}:{column}: executing {name:?} at <{place}>: {message}")]
pub struct ExecuteError {
    pub name: String,
    /// From 1.
    pub line: usize,
    /// In bytes, from 0.
    pub column: usize,
    /// The piece of the template that failed.
    pub place: String,
    pub message: String,
}

impl Template {
    /// The template's text for `data` (what `.` and `$` stand for) and `variables`, which must be
    /// those that it was parsed with.
    pub fn execute(
        &self,
        functions: &Functions<'_>,
        variables: &[(&str, Value)],
        data: &Value,
    ) -> Result<String, ExecuteError> {
        let mut variables: Vec<(String, Value)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        variables.insert(0, (String::new(), data.clone()));
        let mut run = Run {
            template: self,
            functions,
            variables,
            out: Bounded::default(),
            depth: 0,
            rounds: 0,
        };
        match run.nodes(&self.root, data) {
            Ok(_) => Ok(run.out.0),
            Err(Failure { span, message }) => {
                let (line, column) = self.source.line_and_column(span.start);
                let mut place = self.source.text[span].to_owned();
                if let Some((end, _)) = place.char_indices().nth(QUOTE_CHARS_MAX) {
                    place.truncate(end);
                    place.push_str("...");
                }
                Err(ExecuteError { name: self.source.name.clone(), line, column, place, message })
            }
        }
    }
}

struct Failure {
    span: Span,
    message: String,
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Run<'a> {
    template: &'a Template,
    functions: &'a Functions<'a>,
    /// In scope, innermost last; `$` is the one without a name.
    variables: Vec<(String, Value)>,
    out: Bounded,
    depth: usize,
    rounds: usize,
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Failure> {
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, Failure> {
        match node {
            Node::Text(text) => self.print(text, &(0..0))?,
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.print_value(&value, &pipeline.span)?;
                }
            }
            Node::If(branch) => return self.branch(branch, dot, false),
            Node::With(branch) => return self.branch(branch, dot, true),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Include { name, data, span } => {
                let data = match data {
                    Some(pipeline) => self.pipeline(pipeline, dot)?,
                    None => Value::Nil,
                };
                self.include(name, &data, span)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    /// `if` and `with`, which differ in what `.` is inside.
    fn branch(&mut self, branch: &Branch, dot: &Value, sets_dot: bool) -> Result<Flow, Failure> {
        self.descend(&branch.condition.span)?;
        let scope = self.variables.len();
        let value = self.pipeline(&branch.condition, dot)?;
        let flow = match value.is_true() {
            true => self.nodes(&branch.body, if sets_dot { &value } else { dot })?,
            false => self.nodes(&branch.otherwise, dot)?,
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(flow)
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, Failure> {
        let span = &branch.condition.span;
        self.descend(span)?;
        let outside = self.variables.len();
        let value = self.pipeline_value(&branch.condition, dot)?;
        let pairs: Box<dyn Iterator<Item = (Value, Value)> + '_> = match &value {
            Value::Nil => Box::new(std::iter::empty()),
            Value::Int(count) => Box::new((0..*count).map(|n| (Value::Int(n), Value::Int(n)))),
            Value::List(list) => {
                let items = list.items().iter().enumerate();
                Box::new(items.map(|(index, item)| (Value::Int(index as i64), item.clone())))
            }
            Value::Map(map) => {
                let entries = map.entries().iter();
                Box::new(entries.map(|(name, value)| (Value::text(name), value.clone())))
            }
            other => {
                return fail(span, format!("range can't iterate over {}", other.type_name()));
            }
        };
        let mut empty = true;
        for (key, item) in pairs {
            empty = false;
            self.rounds += 1;
            if self.rounds > ITERATIONS_MAX {
                return fail(span, format!("more than {ITERATIONS_MAX} iterations"));
            }
            self.set_range_variables(&branch.condition, key, &item)?;
            let flow = self.nodes(&branch.body, &item)?;
            self.variables.truncate(outside);
            if flow == Flow::Break {
                break;
            }
        }
        let flow = match empty {
            true => self.nodes(&branch.otherwise, dot)?,
            false => Flow::Next,
        };
        self.variables.truncate(outside);
        self.depth -= 1;
        Ok(flow)
    }

    fn set_range_variables(
        &mut self,
        pipeline: &Pipeline,
        key: Value,
        item: &Value,
    ) -> Result<(), Failure> {
        match &pipeline.variables[..] {
            [] => Ok(()),
            [name] => self.set(pipeline, name, item.clone()),
            [first, second, ..] => {
                self.set(pipeline, first, key)?;
                self.set(pipeline, second, item.clone())
            }
        }
    }

    fn include(&mut self, name: &str, data: &Value, span: &Span) -> Result<(), Failure> {
        let Some(nodes) = self.template.defined.get(name) else {
            return fail(span, format!("template {name:?} not defined"));
        };
        self.descend(span)?;
        let outside = std::mem::replace(&mut self.variables, vec![(String::new(), data.clone())]);
        self.nodes(nodes, data)?;
        self.variables = outside;
        self.depth -= 1;
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Failure> {
        let value = self.pipeline_value(pipeline, dot)?;
        for name in &pipeline.variables {
            self.set(pipeline, name, value.clone())?;
        }
        Ok(value)
    }

    /// The value of a pipeline, its variables left alone.
    fn pipeline_value(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Failure> {
        self.descend(&pipeline.span)?;
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value)?);
        }
        self.depth -= 1;
        Ok(value.unwrap_or(Value::Nil))
    }

    fn set(&mut self, pipeline: &Pipeline, name: &str, value: Value) -> Result<(), Failure> {
        if pipeline.declares {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        match self.variables.iter_mut().rev().find(|(found, _)| found == name) {
            Some((_, slot)) => *slot = value,
            None => return fail(&pipeline.span, format!("undefined variable: ${name}")),
        }
        Ok(())
    }

    /// `piped` is what the command before gives, and becomes the last argument.
    fn command(
        &mut self,
        command: &Command,
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Failure> {
        let first = &command.operands[0];
        let operands = &command.operands[1..];
        let takes_arguments = match &first.kind {
            OperandKind::Function(name) if first.fields.is_empty() => {
                return self.function(name, operands, dot, piped, &command.span);
            }
            kind => !first.fields.is_empty() && !matches!(kind, OperandKind::Literal(_)),
        };
        if operands.is_empty() && piped.is_none() {
            return self.operand(first, dot);
        }
        if !takes_arguments {
            let place = &self.template.source.text[first.span.clone()];
            return fail(&first.span, format!("can't give argument to non-function {place}"));
        }
        let mut arguments = self.arguments(operands, dot)?;
        arguments.extend(piped);
        let (method, path) = first.fields.split_last().expect("takes_arguments says so");
        let receiver = self.base(first, dot)?;
        let receiver = self.fields(receiver, path, &first.span)?;
        self.method(&receiver, method, &arguments, &first.span)
    }

    fn arguments(&mut self, operands: &[Operand], dot: &Value) -> Result<Vec<Value>, Failure> {
        operands.iter().map(|operand| self.operand(operand, dot)).collect()
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Failure> {
        let base = self.base(operand, dot)?;
        self.fields(base, &operand.fields, &operand.span)
    }

    /// The operand without its fields.
    fn base(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Failure> {
        match &operand.kind {
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Literal(value) => Ok(value.clone()),
            OperandKind::Variable(name) => {
                match self.variables.iter().rev().find(|(found, _)| found == name) {
                    Some((_, value)) => Ok(value.clone()),
                    None => fail(&operand.span, format!("undefined variable: ${name}")),
                }
            }
            OperandKind::Function(name) => self.function(name, &[], dot, None, &operand.span),
            OperandKind::Pipeline(pipeline) => self.pipeline(pipeline, dot),
        }
    }

    fn fields(&self, mut value: Value, names: &[String], span: &Span) -> Result<Value, Failure> {
        for name in names {
            value = match &value {
                Value::Map(map) => match map.get(name) {
                    Some(value) => value,
                    None => return fail(span, no_field(name, &value)),
                },
                value => self.method(value, name, &[], span)?,
            };
        }
        Ok(value)
    }

    fn method(
        &self,
        value: &Value,
        name: &str,
        arguments: &[Value],
        span: &Span,
    ) -> Result<Value, Failure> {
        match value {
            Value::Time(time) => match time::call(*time, name, arguments) {
                Ok(value) => Ok(value),
                Err(message) => fail(span, message),
            },
            Value::Nil => fail(span, format!("nil data; no entry for key {name:?}")),
            Value::Map(map) if map.get(name).is_some() => {
                fail(span, format!("{name} has arguments but cannot be invoked as function"))
            }
            other => fail(span, no_field(name, other)),
        }
    }

    fn function(
        &mut self,
        name: &str,
        operands: &[Operand],
        dot: &Value,
        piped: Option<Value>,
        span: &Span,
    ) -> Result<Value, Failure> {
        if let "and" | "or" = name {
            return self.and_or(name == "or", operands, dot, piped, span);
        }
        let mut arguments = self.arguments(operands, dot)?;
        arguments.extend(piped);
        if name == "tmpl" {
            return self.template_value(&arguments, span);
        }
        let value = match self.functions.call(name, &arguments) {
            Ok(value) => value,
            Err(message) => return fail(span, message),
        };
        if value.depth() > DEPTH_MAX {
            return fail(span, format!("values nested more than {DEPTH_MAX} deep"));
        }
        if matches!(&value, Value::Text(text) if text.len() > crate::OUTPUT_BYTES_MAX) {
            return fail(span, too_large(std::fmt::Error));
        }
        Ok(value)
    }

    /// The first argument that decides; those behind it are not evaluated.
    fn and_or(
        &mut self,
        decides: bool,
        operands: &[Operand],
        dot: &Value,
        piped: Option<Value>,
        span: &Span,
    ) -> Result<Value, Failure> {
        let mut last = None;
        for operand in operands {
            let value = self.operand(operand, dot)?;
            if value.is_true() == decides {
                return Ok(value);
            }
            last = Some(value);
        }
        match piped.or(last) {
            Some(value) => Ok(value),
            None => {
                let name = if decides { "or" } else { "and" };
                fail(span, format!("wrong number of args for {name}: want at least 1 got 0"))
            }
        }
    }

    /// `tmpl "name" data`: what `{{template}}` would print.
    fn template_value(&mut self, arguments: &[Value], span: &Span) -> Result<Value, Failure> {
        let [name, data] = arguments else {
            let got = arguments.len();
            return fail(span, format!("wrong number of args for tmpl: want 2 got {got}"));
        };
        let name = name.as_text().or_else(|message| fail(span, message))?;
        let outside = std::mem::take(&mut self.out);
        self.include(name, data, span)?;
        let inside = std::mem::replace(&mut self.out, outside);
        Ok(inside.0.into())
    }

    fn print(&mut self, text: &str, span: &Span) -> Result<(), Failure> {
        self.out.write_str(text).or_else(|error| fail(span, too_large(error)))
    }

    fn print_value(&mut self, value: &Value, span: &Span) -> Result<(), Failure> {
        match value {
            Value::Nil => self.print("<no value>", span),
            value => value.write(&mut self.out).or_else(|error| fail(span, too_large(error))),
        }
    }

    fn descend(&mut self, span: &Span) -> Result<(), Failure> {
        if self.depth >= DEPTH_MAX {
            return fail(span, format!("nested more than {DEPTH_MAX} deep"));
        }
        self.depth += 1;
        Ok(())
    }
}

fn no_field(name: &str, value: &Value) -> String {
    format!("can't evaluate field {name} in type {}", value.type_name())
}

fn fail<T>(span: &Span, message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure { span: span.clone(), message: message.into() })
}
