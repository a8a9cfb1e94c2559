//! Cuts a template into text and the tokens of its actions.

use std::fmt;
use std::ops::Range;

/// Where something stands in the template's text, in bytes.
pub(crate) type Span = Range<usize>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// Text between actions, trimmed already.
    Text(String),
    Open,
    Close,
    Space,
    /// `name`, a keyword included
    Word(String),
    /// `.name`
    Field(String),
    /// `$name`; `$` alone is empty.
    Variable(String),
    Dot,
    Int(i64),
    Float(f64),
    Quoted(String),
    Pipe,
    Comma,
    OpenParen,
    CloseParen,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// As errors quote it.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "<{word}>"),
            Self::Field(name) => write!(f, "<.{name}>"),
            Self::Variable(name) => write!(f, "<${name}>"),
            Self::Dot => f.write_str("<.>"),
            Self::Quoted(text) => write!(f, "{text:?}"),
            Self::Int(number) => write!(f, "\"{number}\""),
            Self::Float(number) => write!(f, "\"{number}\""),
            Self::Text(_) | Self::Space => f.write_str("text"),
            Self::Open => f.write_str("\"{{\""),
            Self::Close => f.write_str("\"}}\""),
            Self::Pipe => f.write_str("\"|\""),
            Self::Comma => f.write_str("\",\""),
            Self::OpenParen => f.write_str("\"(\""),
            Self::CloseParen => f.write_str("\")\""),
            Self::Declare => f.write_str("\":=\""),
            Self::Assign => f.write_str("\"=\""),
        }
    }
}

#[derive(Debug)]
pub(crate) struct LexError {
    pub(crate) at: usize,
    pub(crate) message: String,
}

type Tokens = Vec<(Token, Span)>;

pub(crate) fn lex(text: &str) -> Result<Tokens, LexError> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    let mut trim_left = false;
    while let Some(offset) = text[lexer.at..].find("{{") {
        let open = lexer.at + offset;
        let trim_right = opens_with_trim(&text[open + 2..]);
        lexer.text_until(open, trim_left, trim_right);
        lexer.at = open + if trim_right { 3 } else { 2 };
        trim_left = match lexer.comment(open)? {
            Some(trims) => trims,
            None => {
                lexer.tokens.push((Token::Open, open..lexer.at));
                lexer.action(open)?
            }
        };
    }
    lexer.text_until(text.len(), trim_left, false);
    Ok(lexer.tokens)
}

/// `{{- `: the space belongs to the marker, so that `{{-3}}` is a number.
fn opens_with_trim(after_open: &str) -> bool {
    after_open.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_space))
}

/// What ends an action here: its length, and whether it trims the text after it.
fn closes(rest: &str) -> Option<(usize, bool)> {
    if rest.starts_with("}}") {
        return Some((2, false));
    }
    let marker = rest.strip_prefix(is_space)?;
    marker.starts_with("-}}").then_some((4, true))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Tokens,
}

impl<'a> Lexer<'a> {
    fn text_until(&mut self, end: usize, trim_left: bool, trim_right: bool) {
        let mut piece = &self.text[self.at..end];
        if trim_left {
            piece = piece.trim_start_matches(is_space);
        }
        if trim_right {
            piece = piece.trim_end_matches(is_space);
        }
        if !piece.is_empty() {
            self.tokens.push((Token::Text(piece.to_owned()), self.at..end));
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error<T>(&self, at: usize, message: impl Into<String>) -> Result<T, LexError> {
        Err(LexError { at, message: message.into() })
    }

    /// Skips a comment, which has an action to itself. Gives whether it trims what follows.
    fn comment(&mut self, open: usize) -> Result<Option<bool>, LexError> {
        let rest = self.rest();
        let body = rest.trim_start_matches(is_space);
        let trimmed = self.text[open..].starts_with("{{-");
        if !body.starts_with("/*") || (!trimmed && body.len() != rest.len()) {
            return Ok(None);
        }
        let Some(end) = body.find("*/") else { return self.error(open, "unclosed comment") };
        self.at = self.text.len() - body.len() + end + 2;
        let Some((length, trims)) = closes(self.rest()) else {
            return self.error(open, "comment ends before closing delimiter");
        };
        self.at += length;
        Ok(Some(trims))
    }

    /// The tokens of one action, up to its end. Gives whether it trims what follows.
    fn action(&mut self, open: usize) -> Result<bool, LexError> {
        loop {
            let start = self.at;
            if let Some((length, trims)) = closes(self.rest()) {
                self.at += length;
                self.tokens.push((Token::Close, start..self.at));
                return Ok(trims);
            }
            let Some(first) = self.rest().chars().next() else {
                return self.error(open, "unclosed action");
            };
            let token = match first {
                c if is_space(c) => self.space(),
                '"' => Token::Quoted(self.quoted(start)?),
                '`' => Token::Quoted(self.raw(start)?),
                '\'' => Token::Int(self.character(start)?),
                '$' => {
                    self.at += 1;
                    Token::Variable(self.word())
                }
                '.' if !self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    self.at += 1;
                    match self.word() {
                        name if name.is_empty() => Token::Dot,
                        name => Token::Field(name),
                    }
                }
                '.' | '+' | '-' | '0'..='9' => self.number(start)?,
                c if is_word(c) => Token::Word(self.word()),
                _ => self.symbol(first, start)?,
            };
            self.tokens.push((token, start..self.at));
        }
    }

    fn symbol(&mut self, first: char, start: usize) -> Result<Token, LexError> {
        let (token, length) = match first {
            '|' => (Token::Pipe, 1),
            ',' => (Token::Comma, 1),
            '(' => (Token::OpenParen, 1),
            ')' => (Token::CloseParen, 1),
            '=' => (Token::Assign, 1),
            ':' if self.rest().starts_with(":=") => (Token::Declare, 2),
            ':' => return self.error(start, "expected :="),
            c => {
                let message = format!("unrecognized character in action: U+{:04X}", c as u32);
                return self.error(start, message);
            }
        };
        self.at += length;
        Ok(token)
    }

    fn take_while(&mut self, condition: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !condition(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// White space, but not the one that belongs to a closing trim marker.
    fn space(&mut self) -> Token {
        while self.rest().starts_with(is_space) && closes(self.rest()).is_none() {
            self.at += 1;
        }
        Token::Space
    }

    fn word(&mut self) -> String {
        self.take_while(is_word).to_owned()
    }

    fn number(&mut self, start: usize) -> Result<Token, LexError> {
        let signed = self.rest().starts_with(['+', '-']);
        self.at += usize::from(signed);
        let mut previous = ' ';
        let rest = self.rest();
        let hex = rest.starts_with("0x") || rest.starts_with("0X");
        let length = rest.find(|c: char| {
            let exponent_sign = !hex && matches!(c, '+' | '-') && matches!(previous, 'e' | 'E');
            previous = c;
            !(is_word(c) || c == '.' || exponent_sign)
        });
        self.at += length.unwrap_or(rest.len());
        let written = &self.text[start..self.at];
        match number(written) {
            Some(token) => Ok(token),
            None => self.error(start, format!("bad number syntax: {written:?}")),
        }
    }

    fn raw(&mut self, start: usize) -> Result<String, LexError> {
        let Some(length) = self.rest()[1..].find('`') else {
            return self.error(start, "unterminated raw quoted string");
        };
        let text = &self.rest()[1..1 + length];
        self.at += length + 2;
        Ok(text.replace('\r', "")) // as in Go's raw strings
    }

    fn quoted(&mut self, start: usize) -> Result<String, LexError> {
        let mut text = Vec::new();
        self.at += 1;
        loop {
            match self.rest().chars().next() {
                None | Some('\n') => return self.error(start, "unterminated quoted string"),
                Some('"') => break,
                Some('\\') => self.escape(start, '"', &mut text)?,
                Some(c) => {
                    self.at += c.len_utf8();
                    text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
        self.at += 1;
        match String::from_utf8(text) {
            Ok(text) => Ok(text),
            Err(_) => self.error(start, "quoted string is not UTF-8"),
        }
    }

    fn character(&mut self, start: usize) -> Result<i64, LexError> {
        let mut text = Vec::new();
        self.at += 1;
        match self.rest().chars().next() {
            None | Some('\n' | '\'') => {
                return self.error(start, "unterminated character constant");
            }
            Some('\\') => self.escape(start, '\'', &mut text)?,
            Some(c) => {
                self.at += c.len_utf8();
                text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if !self.rest().starts_with('\'') {
            return self.error(start, "unterminated character constant");
        }
        self.at += 1;
        let code = match (std::str::from_utf8(&text).ok().and_then(|t| t.chars().next()), &text[..])
        {
            (Some(c), _) => c as i64,
            (None, [byte, ..]) => i64::from(*byte),
            (None, []) => 0,
        };
        Ok(code)
    }

    /// One `\…` of a quoted string, as in Go.
    fn escape(&mut self, start: usize, quote: char, to: &mut Vec<u8>) -> Result<(), LexError> {
        let bad = |lexer: &Self| lexer.error(start, "invalid escape in quoted string");
        self.at += 1;
        let Some(c) = self.rest().chars().next() else { return bad(self) };
        self.at += c.len_utf8();
        let (digits, radix) = match c {
            'a' => return push(to, 0x07),
            'b' => return push(to, 0x08),
            'f' => return push(to, 0x0c),
            'n' => return push(to, b'\n'),
            'r' => return push(to, b'\r'),
            't' => return push(to, b'\t'),
            'v' => return push(to, 0x0b),
            '\\' => return push(to, b'\\'),
            c if c == quote => return push(to, quote as u8),
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => {
                self.at -= 1;
                (3, 8)
            }
            _ => return bad(self),
        };
        let Some(number) = self.rest().get(..digits) else { return bad(self) };
        if !number.chars().all(|c| c.is_digit(radix)) {
            return bad(self);
        }
        self.at += digits;
        let code = u32::from_str_radix(number, radix).unwrap_or(u32::MAX);
        if matches!(c, 'u' | 'U') {
            let Some(c) = char::from_u32(code) else { return bad(self) };
            to.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
        match u8::try_from(code) {
            Ok(byte) => push(to, byte),
            Err(_) => bad(self),
        }
    }
}

fn push(to: &mut Vec<u8>, byte: u8) -> Result<(), LexError> {
    to.push(byte);
    Ok(())
}

/// A Go number: with `.` or an exponent it is a float, otherwise an integer.
fn number(written: &str) -> Option<Token> {
    let clean = written.replace('_', "");
    let digits = clean.trim_start_matches(['+', '-']);
    let sign = if clean.starts_with('-') { "-" } else { "" };
    let lower = digits.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return i64::from_str_radix(&format!("{sign}{digits}"), radix).ok().map(Token::Int);
        }
    }
    if digits.contains(['.', 'e', 'E']) {
        let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
        return digits.chars().all(plain).then(|| clean.parse().ok().map(Token::Float)).flatten();
    }
    let octal = digits.len() > 1 && digits.starts_with('0');
    i64::from_str_radix(&format!("{sign}{digits}"), if octal { 8 } else { 10 }).ok().map(Token::Int)
}
