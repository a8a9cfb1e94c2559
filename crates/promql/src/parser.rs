//! Reads a query into a tree: recursive descent, with precedence climbing for binary operators.
//!
//! - PARSE-1: no input overflows the stack: nesting is limited to [`NESTING_MAX`] levels, and a
//!   query to [`OPERATORS_MAX`] operators, so no tree is deeper than their sum.
//! - PARSE-2: the first thing that is wrong is reported where it stands, in Prometheus' words.
//! - Source: Prometheus `promql/parser/{generated_parser.y,parse.go}`.

mod duration;
mod literal;
mod selector;
mod typecheck;

use std::fmt;

use model::Matcher;

use crate::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Call, Cardinality, Expr, Matching, NumberLiteral,
    Paren, Unary,
};
use crate::functions::Function;
use crate::lexer::{Keyword, Kind, LexError, Token, lex};
use crate::position::{ParseError, Position};
use crate::stack::with_deep_stack;

/// How deep expressions may nest.
const NESTING_MAX: usize = 200;
/// How many operators and modifiers one query may have: each of them deepens the tree.
const OPERATORS_MAX: usize = 1000;

/// So few tokens cannot nest deeply; more are read on a stack of their own.
const SHALLOW_TOKENS: usize = 100;

/// Parts of the language that Prometheus hides behind `--enable-feature`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`
    pub experimental_functions: bool,
    /// `promql-extended-range-selectors`
    pub extended_range_selectors: bool,
    /// `promql-binop-fill-modifiers`
    pub fill_modifiers: bool,
}

impl Features {
    pub const NONE: Self = Self {
        experimental_functions: false,
        extended_range_selectors: false,
        fill_modifiers: false,
    };
    pub const ALL: Self =
        Self { experimental_functions: true, extended_range_selectors: true, fill_modifiers: true };

    /// Switches on what `--enable-feature` calls `name`; false if that is no part of the language.
    pub fn enable(&mut self, name: &str) -> bool {
        match name {
            "promql-experimental-functions" => self.experimental_functions = true,
            "promql-extended-range-selectors" => self.extended_range_selectors = true,
            "promql-binop-fill-modifiers" => self.fill_modifiers = true,
            "promql-duration-expr" => {} // always on
            _ => return false,
        }
        true
    }
}

/// Reads and type-checks an expression.
pub fn parse(query: &str) -> Result<Expr, ParseError> {
    parse_with(query, Features::NONE)
}

/// As [`parse`], with experimental parts of the language switched on.
pub fn parse_with(query: &str, features: Features) -> Result<Expr, ParseError> {
    let parser = Parser::new(query, features);
    if parser.kind() == Kind::End {
        return Err(ParseError::new(query, Position::default(), "no expression found in input"));
    }
    if parser.tokens.len() <= SHALLOW_TOKENS {
        return parser.whole();
    }
    with_deep_stack(|| parser.whole())
        .unwrap_or_else(|error| Err(ParseError::new(query, Position::default(), error.to_string())))
}

/// Reads what `match[]` takes: one vector selector without modifiers.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::new(text, Features::NONE);
    let selector = parser.vector_selector()?;
    parser.expect_end()?;
    Ok(selector.matchers)
}

struct Parser<'a> {
    query: &'a str,
    features: Features,
    tokens: Vec<Token>,
    lex_error: Option<LexError>,
    at: usize,
    depth: usize,
    operators: usize,
    /// What the innermost rule with words of its own for errors is about.
    context: &'static str,
}

type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    fn new(query: &'a str, features: Features) -> Self {
        let (tokens, lex_error) = lex(query);
        Self { query, features, tokens, lex_error, at: 0, depth: 0, operators: 0, context: "" }
    }

    /// The only expression, type-checked.
    fn whole(mut self) -> Parsed<Expr> {
        let expr = self.expr(0)?;
        self.expect_end()?;
        typecheck::check(self.query, &expr)?;
        Ok(expr)
    }

    /// An expression whose operators all bind at least as tightly as `precedence`.
    fn expr(&mut self, precedence: u8) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(self.error(self.position(), "expression is nested too deeply"));
        }
        let mut lhs = self.unary()?;
        while let Kind::Operator(op) = self.kind() {
            if op.precedence() < precedence {
                break;
            }
            self.count_operator()?;
            self.advance();
            let (returns_bool, matching) = self.binary_modifiers()?;
            let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
            let tighter = op.precedence() + u8::from(op != BinaryOp::Pow);
            let rhs = self.expr(tighter)?;
            if fills && !self.features.fill_modifiers {
                let position = lhs.position().to(rhs.position());
                let message = "binop fill modifiers are experimental and not enabled";
                return Err(self.error(position, message));
            }
            lhs = Expr::Binary(Box::new(Binary { op, lhs, rhs, returns_bool, matching }));
        }
        self.depth -= 1;
        Ok(lhs)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let negative = match self.kind() {
            Kind::Operator(BinaryOp::Sub) => true,
            Kind::Operator(BinaryOp::Add) => false,
            _ => {
                let primary = self.primary()?;
                return self.postfix(primary);
            }
        };
        let start = self.position().start;
        self.advance();
        // A sign binds as `*` does: weaker than `^`, tighter than everything else.
        let inner = self.expr(BinaryOp::Pow.precedence())?;
        Ok(match inner {
            Expr::Number(number) => Expr::Number(NumberLiteral {
                value: if negative { -number.value } else { number.value },
                position: Position::new(start, number.position.end),
                ..number
            }),
            inner => Expr::Unary(Unary { negative, inner: Box::new(inner), start }),
        })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let position = self.position();
        match self.kind() {
            Kind::Number | Kind::Duration => self.number().map(Expr::Number),
            Kind::String => self.string().map(Expr::String),
            Kind::LeftParen => {
                self.advance();
                let inner = Box::new(self.expr(0)?);
                let end = self.take(Kind::RightParen)?.position;
                Ok(Expr::Paren(Paren { inner, position: position.to(end) }))
            }
            Kind::Aggregate(op) if self.begins_aggregation() => self.aggregate(op),
            Kind::Identifier if self.next_kind() == Kind::LeftParen => self.call(),
            // Some words of the language are functions too, all others are no names of functions.
            Kind::Keyword(_)
                if self.next_kind() == Kind::LeftParen && Function::find(self.text()).is_some() =>
            {
                self.call()
            }
            Kind::LeftBrace
            | Kind::Identifier
            | Kind::MetricIdentifier
            | Kind::Aggregate(_)
            | Kind::Keyword(_)
            | Kind::Operator(_) => self.vector_selector().map(Expr::Vector),
            _ => Err(self.unexpected("")),
        }
    }

    /// `[…]`, `@`, `offset` and their like after `expr`.
    fn postfix(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            match self.kind() {
                Kind::LeftBracket => expr = self.range_or_subquery(expr)?,
                Kind::At => self.at_modifier(&mut expr)?,
                Kind::Keyword(Keyword::Offset) => self.offset_modifier(&mut expr)?,
                Kind::Keyword(keyword @ (Keyword::Anchored | Keyword::Smoothed)) => {
                    self.extension(&mut expr, keyword)?;
                }
                _ => return Ok(expr),
            }
            self.count_operator()?;
        }
    }

    fn begins_expression(&self) -> bool {
        match self.kind() {
            Kind::Comma
            | Kind::Colon
            | Kind::At
            | Kind::Equal
            | Kind::EqualRegex
            | Kind::NotRegex
            | Kind::RightParen
            | Kind::RightBrace
            | Kind::LeftBracket
            | Kind::RightBracket => false,
            Kind::Operator(op) => op.is_set() || matches!(op, BinaryOp::Add | BinaryOp::Sub),
            _ => true,
        }
    }

    fn count_operator(&mut self) -> Parsed<()> {
        self.operators += 1;
        if self.operators > OPERATORS_MAX {
            return Err(self.error(self.position(), "expression has too many operators"));
        }
        Ok(())
    }

    fn begins_aggregation(&self) -> bool {
        matches!(self.next_kind(), Kind::LeftParen | Kind::Keyword(Keyword::By | Keyword::Without))
    }

    fn aggregate(&mut self, op: AggregateOp) -> Parsed<Expr> {
        let start = self.position();
        let outer = std::mem::replace(&mut self.context, "aggregation");
        self.advance();
        let mut grouping = self.aggregate_modifier()?;
        let (args, mut end) = self.arguments()?;
        if grouping.is_none() {
            grouping = self.aggregate_modifier()?;
            if grouping.is_some() {
                end = self.previous_position();
            }
        }
        self.context = outer;
        let position = start.to(end);
        let (without, grouping) = grouping.unwrap_or_default();
        let (parameter, inner) = self.aggregate_arguments(op, args, position)?;
        Ok(Expr::Aggregate(Box::new(Aggregate {
            op,
            inner,
            parameter,
            grouping,
            without,
            position,
        })))
    }

    fn aggregate_arguments(
        &self,
        op: AggregateOp,
        args: Vec<Expr>,
        position: Position,
    ) -> Parsed<(Option<Expr>, Expr)> {
        if args.is_empty() {
            let message = "no arguments for aggregate expression provided";
            return Err(self.error(position, message));
        }
        if op.is_experimental() && !self.features.experimental_functions {
            let op = op.as_str();
            let flag = "--enable-feature=promql-experimental-functions";
            let message = format!("{op}() is experimental and must be enabled with {flag}");
            return Err(self.error(position, message));
        }
        let (expected, got) = (1 + usize::from(op.has_parameter()), args.len());
        let mut args = args.into_iter();
        let parameter = if expected == 2 { args.next() } else { None };
        match (args.next(), args.next()) {
            (Some(inner), None) => Ok((parameter, inner)),
            _ => {
                let message = "wrong number of arguments for aggregate expression provided";
                let message = format!("{message}, expected {expected}, got {got}");
                Err(self.error(position, message))
            }
        }
    }

    /// `by (…)` or `without (…)`: whether it is `without`, and the labels.
    fn aggregate_modifier(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        let without = match self.kind() {
            Kind::Keyword(Keyword::By) => false,
            Kind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some((without, self.grouping_labels()?)))
    }

    fn call(&mut self) -> Parsed<Expr> {
        let start = self.position();
        let name = self.text();
        self.advance();
        let (args, end) = self.arguments()?;
        let Some(function) = Function::find(name) else {
            return Err(self.error(start, format!("unknown function with name {name:?}")));
        };
        if function.experimental && !self.features.experimental_functions {
            return Err(self.error(start, format!("function {name:?} is not enabled")));
        }
        Ok(Expr::Call(Call { function, args, position: start.to(end) }))
    }

    /// `(a, b)`, and where its closing parenthesis stands.
    fn arguments(&mut self) -> Parsed<(Vec<Expr>, Position)> {
        self.take(Kind::LeftParen)?;
        let mut args = Vec::new();
        if self.kind() != Kind::RightParen {
            args.push(self.expr(0)?);
            while self.kind() == Kind::Comma {
                let comma = self.advance().position;
                if !self.begins_expression() {
                    let message = "trailing commas not allowed in function call args";
                    return Err(self.error(comma, message));
                }
                args.push(self.expr(0)?);
            }
        }
        let end = self.take(Kind::RightParen)?.position;
        Ok((args, end))
    }

    /// All that may stand between a binary operator and its right operand.
    fn binary_modifiers(&mut self) -> Parsed<(bool, Matching)> {
        let returns_bool = self.taken(Kind::Keyword(Keyword::Bool));
        let mut matching = Matching::default();
        if let Kind::Keyword(keyword @ (Keyword::On | Keyword::Ignoring)) = self.kind() {
            self.advance();
            matching.on = keyword == Keyword::On;
            matching.labels = self.grouping_labels()?;
            if let Kind::Keyword(side @ (Keyword::GroupLeft | Keyword::GroupRight)) = self.kind() {
                self.advance();
                matching.cardinality = match side {
                    Keyword::GroupLeft => Cardinality::ManyToOne,
                    _ => Cardinality::OneToMany,
                };
                if self.kind() == Kind::LeftParen {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        while let Kind::Keyword(side @ (Keyword::Fill | Keyword::FillLeft | Keyword::FillRight)) =
            self.kind()
        {
            self.advance();
            let value = Some(self.fill_value()?);
            if side != Keyword::FillRight {
                matching.fill_left = value;
            }
            if side != Keyword::FillLeft {
                matching.fill_right = value;
            }
        }
        Ok((returns_bool, matching))
    }

    fn fill_value(&mut self) -> Parsed<f64> {
        self.take(Kind::LeftParen)?;
        let negative = self.kind() == Kind::Operator(BinaryOp::Sub);
        if negative || self.kind() == Kind::Operator(BinaryOp::Add) {
            self.advance();
        }
        if !matches!(self.kind(), Kind::Number | Kind::Duration) {
            return Err(self.unexpected_in("fill modifier", "number"));
        }
        let value = self.number()?.value;
        self.take(Kind::RightParen)?;
        Ok(if negative { -value } else { value })
    }

    /// `(a, "b.c")`
    fn grouping_labels(&mut self) -> Parsed<Vec<String>> {
        const CONTEXT: &str = "grouping opts";
        if !self.taken(Kind::LeftParen) {
            return Err(self.unexpected_in(CONTEXT, "\"(\""));
        }
        let mut labels = Vec::new();
        while !self.taken(Kind::RightParen) {
            labels.push(match self.kind() {
                Kind::String => self.grouping_string()?,
                Kind::Identifier
                | Kind::MetricIdentifier
                | Kind::Keyword(_)
                | Kind::Aggregate(_) => self.take_text(),
                Kind::Operator(op) if op.is_set() || op == BinaryOp::Atan2 => self.take_text(),
                Kind::Number if self.text().starts_with(|c: char| c.is_ascii_alphabetic()) => {
                    self.take_text() // `inf` and `nan` are fine names for a label
                }
                _ => return Err(self.unexpected_in(CONTEXT, "label")),
            });
            if !self.taken(Kind::Comma) && self.kind() != Kind::RightParen {
                return Err(self.unexpected_in(CONTEXT, "\",\" or \")\""));
            }
        }
        Ok(labels)
    }

    fn grouping_string(&mut self) -> Parsed<String> {
        let string = self.string()?;
        if string.value.is_empty() || !string.is_utf8 {
            let message = format!("invalid label name for grouping: {:?}", string.value);
            return Err(self.error(string.position, message));
        }
        Ok(string.value)
    }

    fn kind(&self) -> Kind {
        self.tokens[self.at].kind
    }

    fn next_kind(&self) -> Kind {
        self.tokens.get(self.at + 1).map_or(Kind::End, |token| token.kind)
    }

    fn position(&self) -> Position {
        self.tokens[self.at].position
    }

    fn previous_position(&self) -> Position {
        self.tokens[self.at.saturating_sub(1)].position
    }

    fn text(&self) -> &'a str {
        let position = self.position();
        &self.query[position.start..position.end]
    }

    fn take_text(&mut self) -> String {
        let text = self.text().to_owned();
        self.advance();
        text
    }

    /// Steps over a token; the last one stays.
    fn advance(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn taken(&mut self, kind: Kind) -> bool {
        let taken = self.kind() == kind;
        if taken {
            self.advance();
        }
        taken
    }

    fn take(&mut self, kind: Kind) -> Parsed<Token> {
        if self.kind() == kind { Ok(self.advance()) } else { Err(self.unexpected("")) }
    }

    fn expect_end(&self) -> Parsed<()> {
        if self.kind() == Kind::End { Ok(()) } else { Err(self.unexpected("")) }
    }

    fn error(&self, position: Position, message: impl fmt::Display) -> ParseError {
        ParseError::new(self.query, position, message.to_string())
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        self.unexpected_in(self.context, expected)
    }

    /// Complains about the current token; if that is where the lexer gave up, with its words.
    fn unexpected_in(&self, context: &str, expected: &str) -> ParseError {
        if let (Kind::Error, Some(error)) = (self.kind(), &self.lex_error) {
            let position = Position::new(error.start, self.query.len());
            return self.error(position, &error.message);
        }
        let mut message = format!("unexpected {}", self.tokens[self.at].describe(self.query));
        if !context.is_empty() {
            message += &format!(" in {context}");
        }
        if !expected.is_empty() {
            message += &format!(", expected {expected}");
        }
        self.error(self.position(), message)
    }
}

#[cfg(test)]
mod refusals;
#[cfg(test)]
mod tests;
