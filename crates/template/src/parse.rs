//! From tokens to a [`Template`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::lex::{Span, Token, lex};
use crate::tree::{Branch, Command, Node, Operand, OperandKind, Pipeline, Source};
use crate::{DEPTH_MAX, Functions, Template, Value};

/// Names that are no functions, and that no template may call so.
const KEYWORDS: [&str; 12] = [
    "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template",
    "with", "tmpl",
];
/// Functions that the language itself provides, because they do not evaluate all their arguments,
/// or because they run templates.
pub(crate) const LANGUAGE_FUNCTIONS: [&str; 3] = ["and", "or", "tmpl"];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}:{column}: {message}")]
pub struct ParseError {
    pub name: String,
    /// From 1.
    pub line: usize,
    /// In bytes, from 0.
    pub column: usize,
    pub message: String,
}

impl Template {
    /// Parses `text`, which may call what is in `functions` and use `variables` (written without
    /// `$`), and which errors call `name`.
    pub fn parse(
        name: &str,
        text: &str,
        functions: &Functions<'_>,
        variables: &[&str],
    ) -> Result<Self, ParseError> {
        let source = Source { name: name.to_owned(), text: text.to_owned() };
        let error = |at: usize, message: String| {
            let (line, column) = source.line_and_column(at);
            ParseError { name: name.to_owned(), line, column, message }
        };
        let tokens = lex(text).map_err(|e| error(e.at, e.message))?;
        let mut parser = Parser {
            tokens,
            at: 0,
            end: text.len(),
            functions,
            variables: variables.iter().map(|&name| name.to_owned()).collect(),
            defined: BTreeMap::new(),
            depth: 0,
            loops: 0,
        };
        let root = parser.document().map_err(|e| error(e.at, e.message))?;
        let (root, defined) = (root.into(), Arc::new(parser.defined));
        Ok(Self { source: Arc::new(source), root, defined })
    }
}

struct SyntaxError {
    at: usize,
    message: String,
}

type Parsed<T> = Result<T, SyntaxError>;

struct Parser<'a> {
    tokens: Vec<(Token, Span)>,
    at: usize,
    end: usize,
    functions: &'a Functions<'a>,
    /// In scope here, innermost last.
    variables: Vec<String>,
    defined: BTreeMap<String, Arc<[Node]>>,
    depth: usize,
    /// How many `range` bodies we are inside of.
    loops: usize,
}

/// What ended a list of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Document,
    End,
    Else,
}

impl Parser<'_> {
    fn document(&mut self) -> Parsed<Vec<Node>> {
        let start = self.position();
        match self.nodes()? {
            (nodes, Ending::Document) => Ok(nodes),
            (_, Ending::End) => self.fail(start, "unexpected {{end}}"),
            (_, Ending::Else) => self.fail(start, "unexpected {{else}}"),
        }
    }

    /// Nodes up to `{{end}}` or `{{else`, of which the `{{` and the word are taken.
    fn nodes(&mut self) -> Parsed<(Vec<Node>, Ending)> {
        self.descend()?;
        let mut nodes = Vec::new();
        let ending = loop {
            match self.next() {
                None => break Ending::Document,
                Some(Token::Text(text)) => nodes.push(Node::Text(text)),
                Some(_open) => {
                    self.skip_space();
                    let start = self.position();
                    match self.keyword().as_deref() {
                        Some("end") => {
                            self.close("end")?;
                            break Ending::End;
                        }
                        Some("else") => break Ending::Else,
                        Some(keyword) => nodes.extend(self.statement(keyword, start)?),
                        None => nodes.push(self.action()?),
                    }
                }
            }
        };
        self.depth -= 1;
        Ok((nodes, ending))
    }

    /// A keyword other than `nil`, `end` and `else` at the start of an action. `define` gives none.
    fn statement(&mut self, keyword: &str, start: usize) -> Parsed<Option<Node>> {
        Ok(Some(match keyword {
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "template" => self.include(start)?,
            "block" => self.block(start)?,
            "define" => {
                self.define(start)?;
                return Ok(None);
            }
            "break" | "continue" if self.loops == 0 => {
                return self.fail(start, format!("{{{{{keyword}}}}} outside {{{{range}}}}"));
            }
            "break" => {
                self.close("break")?;
                Node::Break
            }
            _ => {
                self.close("continue")?;
                Node::Continue
            }
        }))
    }

    fn action(&mut self) -> Parsed<Node> {
        let pipeline = self.pipeline("command", &Token::Close, 1)?;
        Ok(Node::Action(pipeline))
    }

    fn branch(&mut self, context: &str) -> Parsed<Branch> {
        let start = self.position();
        let scope = self.variables.len();
        let variables_max = if context == "range" { 2 } else { 1 };
        let condition = self.pipeline(context, &Token::Close, variables_max)?;
        self.loops += usize::from(context == "range");
        let (body, ending) = self.nodes()?;
        self.loops -= usize::from(context == "range");
        let otherwise = match ending {
            Ending::End => Vec::new(),
            Ending::Else => self.otherwise(context)?,
            Ending::Document => return self.fail(start, "unexpected EOF"),
        };
        self.variables.truncate(scope);
        Ok(Branch { condition, body, otherwise })
    }

    /// What follows `{{else`: ` if …}}` stands for a nested `if` that shares the `{{end}}`.
    fn otherwise(&mut self, context: &str) -> Parsed<Vec<Node>> {
        self.skip_space();
        let start = self.position();
        match (context, self.keyword().as_deref()) {
            ("if", Some("if")) => {
                self.descend()?;
                let nested = Node::If(self.branch("if")?);
                self.depth -= 1;
                Ok(vec![nested])
            }
            ("with", Some("with")) => {
                self.descend()?;
                let nested = Node::With(self.branch("with")?);
                self.depth -= 1;
                Ok(vec![nested])
            }
            (_, Some(word)) => self.fail(start, format!("unexpected <{word}> in else clause")),
            (_, None) => {
                self.close("else")?;
                match self.nodes()? {
                    (nodes, Ending::End) => Ok(nodes),
                    (_, Ending::Else) => self.fail(start, "expected end; found {{else}}"),
                    (_, Ending::Document) => self.fail(start, "unexpected EOF"),
                }
            }
        }
    }

    fn include(&mut self, start: usize) -> Parsed<Node> {
        let name = self.template_name("template clause")?;
        let data = match self.peek() {
            Some(Token::Close) => {
                self.close("template clause")?;
                None
            }
            _ => Some(self.pipeline("template clause", &Token::Close, 1)?),
        };
        Ok(Node::Include { name, data, span: start..self.position() })
    }

    /// `{{block "name" pipeline}}`: a definition, and its use right here.
    fn block(&mut self, start: usize) -> Parsed<Node> {
        let name = self.template_name("block clause")?;
        let data = Some(self.pipeline("block clause", &Token::Close, 1)?);
        self.definition(name.clone(), start)?;
        Ok(Node::Include { name, data, span: start..self.position() })
    }

    fn define(&mut self, start: usize) -> Parsed<()> {
        if self.depth > 1 {
            return self.fail(start, "unexpected {{define}}");
        }
        let name = self.template_name("define clause")?;
        self.close("define clause")?;
        self.definition(name, start)
    }

    /// A named template's body. Variables and loops outside do not reach into it.
    fn definition(&mut self, name: String, start: usize) -> Parsed<()> {
        let variables = std::mem::take(&mut self.variables);
        let loops = std::mem::take(&mut self.loops);
        let (nodes, ending) = self.nodes()?;
        (self.variables, self.loops) = (variables, loops);
        if ending != Ending::End {
            return self
                .fail(start, format!("unexpected end of template {name:?}: no {{{{end}}}}"));
        }
        self.defined.insert(name, nodes.into());
        Ok(())
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        self.skip_space();
        let start = self.position();
        match self.next() {
            Some(Token::Quoted(name)) => {
                self.skip_space();
                Ok(name)
            }
            other => self.unexpected(other, start, context),
        }
    }

    /// `[$a[, $b] :=|=] command | command …`, and the `end` token behind it.
    fn pipeline(&mut self, context: &str, end: &Token, variables_max: usize) -> Parsed<Pipeline> {
        self.descend()?;
        self.skip_space();
        let start = self.position();
        let (variables, declares) = self.declaration(context, variables_max)?;
        let mut commands = Vec::new();
        loop {
            self.skip_space();
            let at = self.position();
            match self.peek() {
                Some(token) if token == end => {
                    if commands.is_empty() {
                        return self.fail(at, format!("missing value for {context}"));
                    }
                    break;
                }
                Some(Token::Pipe) => {
                    let token = self.next();
                    return self.unexpected(token, at, context);
                }
                _ => commands.push(self.command(context, end)?),
            }
        }
        let span = start..self.position();
        self.next(); // `end`
        self.check_commands(&commands)?;
        if declares {
            self.variables.extend(variables.iter().cloned());
        }
        self.depth -= 1;
        Ok(Pipeline { variables, declares, commands, span })
    }

    /// Only the first command of a pipeline may be a plain value: the others take an argument.
    fn check_commands(&self, commands: &[Command]) -> Parsed<()> {
        for (index, command) in commands.iter().enumerate().skip(1) {
            let first = &command.operands[0];
            let plain = matches!(first.kind, OperandKind::Dot | OperandKind::Literal(_));
            if plain && first.fields.is_empty() {
                let message = format!("non executable command in pipeline stage {}", index + 1);
                return self.fail(command.span.start, message);
            }
        }
        Ok(())
    }

    /// The variables that a pipeline sets, if it begins by naming some.
    fn declaration(&mut self, context: &str, most: usize) -> Parsed<(Vec<String>, bool)> {
        let begin = self.at;
        let mut names = Vec::new();
        while let Some(Token::Variable(name)) = self.peek().cloned() {
            let at = self.position();
            self.next();
            self.skip_space();
            names.push(name);
            match self.peek() {
                Some(Token::Comma) if names.len() < most => {
                    self.next();
                    self.skip_space();
                }
                Some(Token::Comma) => {
                    return self.fail(at, format!("too many declarations in {context}"));
                }
                Some(Token::Declare) => {
                    self.next();
                    return Ok((names, true));
                }
                Some(Token::Assign) => {
                    self.next();
                    for name in &names {
                        self.check_variable(name, at)?;
                    }
                    return Ok((names, false));
                }
                _ => break,
            }
        }
        if names.len() > 1 {
            return self.fail(self.position(), format!("expected := in {context}"));
        }
        self.at = begin;
        Ok((Vec::new(), false))
    }

    /// Operands with space between them, up to `|` or `end`, of which only the first is taken.
    fn command(&mut self, context: &str, end: &Token) -> Parsed<Command> {
        let start = self.position();
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            let at = self.position();
            match self.peek() {
                Some(token) if token == end => break,
                Some(Token::Pipe) => {
                    self.next();
                    self.skip_space();
                    if self.peek() == Some(end) {
                        return self.fail(at, format!("missing value for {context}"));
                    }
                    return Ok(Command { operands, span: start..at });
                }
                _ => operands.push(self.operand(context)?),
            }
            match self.peek() {
                Some(Token::Space | Token::Pipe) => {}
                Some(token) if token == end => {}
                _ => {
                    let at = self.position();
                    let token = self.next();
                    return self.unexpected(token, at, "operand");
                }
            }
        }
        let span = start..operands.last().map_or(start, |last| last.span.end);
        Ok(Command { operands, span })
    }

    fn operand(&mut self, context: &str) -> Parsed<Operand> {
        let start = self.position();
        let mut fields = Vec::new();
        let kind = match self.next() {
            Some(Token::Dot) => OperandKind::Dot,
            Some(Token::Field(name)) => {
                fields.push(name);
                OperandKind::Dot
            }
            Some(Token::Int(number)) => OperandKind::Literal(Value::Int(number)),
            Some(Token::Float(number)) => OperandKind::Literal(Value::Float(number)),
            Some(Token::Quoted(text)) => OperandKind::Literal(text.into()),
            Some(Token::Variable(name)) => {
                self.check_variable(&name, start)?;
                OperandKind::Variable(name)
            }
            Some(Token::OpenParen) => OperandKind::Pipeline(self.pipeline(
                "parenthesized pipeline",
                &Token::CloseParen,
                1,
            )?),
            Some(Token::Word(word)) => self.word(word, start)?,
            other => return self.unexpected(other, start, context),
        };
        while let Some(Token::Field(name)) = self.peek().cloned() {
            if matches!(kind, OperandKind::Literal(_)) {
                return self.fail(start, format!("unexpected . after term {context}"));
            }
            self.next();
            fields.push(name);
        }
        let end = self.tokens[self.at - 1].1.end;
        Ok(Operand { kind, fields, span: start..end })
    }

    fn word(&mut self, word: String, start: usize) -> Parsed<OperandKind> {
        Ok(match word.as_str() {
            "true" => OperandKind::Literal(Value::Bool(true)),
            "false" => OperandKind::Literal(Value::Bool(false)),
            "nil" => OperandKind::Literal(Value::Nil),
            name if LANGUAGE_FUNCTIONS.contains(&name) || self.functions.contains(name) => {
                OperandKind::Function(word)
            }
            name if KEYWORDS.contains(&name) => {
                return self.fail(start, format!("unexpected <{name}> in operand"));
            }
            name => return self.fail(start, format!("function {name:?} not defined")),
        })
    }

    fn check_variable(&self, name: &String, at: usize) -> Parsed<()> {
        if name.is_empty() || self.variables.contains(name) {
            return Ok(());
        }
        self.fail(at, format!("undefined variable \"${name}\""))
    }

    /// Takes the keyword that an action begins with, if it does.
    fn keyword(&mut self) -> Option<String> {
        match self.peek() {
            Some(Token::Word(word))
                if KEYWORDS.contains(&word.as_str())
                    && !["nil", "tmpl"].contains(&word.as_str()) =>
            {
                let word = word.clone();
                self.next();
                Some(word)
            }
            _ => None,
        }
    }

    fn close(&mut self, context: &str) -> Parsed<()> {
        self.skip_space();
        let at = self.position();
        match self.next() {
            Some(Token::Close) => Ok(()),
            other => self.unexpected(other, at, context),
        }
    }

    fn descend(&mut self) -> Parsed<()> {
        if self.depth >= DEPTH_MAX {
            return self.fail(self.position(), format!("nested more than {DEPTH_MAX} deep"));
        }
        self.depth += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Token::Space) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += usize::from(token.is_some());
        token
    }

    /// Where the next token begins.
    fn position(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(_, span)| span.start)
    }

    fn fail<T>(&self, at: usize, message: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { at, message: message.into() })
    }

    fn unexpected<T>(&self, token: Option<Token>, at: usize, context: &str) -> Parsed<T> {
        let found = token.map_or("EOF".to_owned(), |token| token.to_string());
        self.fail(at, format!("unexpected {found} in {context}"))
    }
}
