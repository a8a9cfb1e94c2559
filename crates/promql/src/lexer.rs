//! Cuts a query into tokens.
//!
//! What a character begins depends on where it stands: inside braces there are no keywords, inside
//! brackets `:` separates and words are duration functions. The lexer tracks both, so that the
//! parser needs no feedback into it. The words of its errors, too, depend on that: before the first
//! number in brackets they speak of a duration expression.
//!
//! - LEX-1: tokens cover the query in order, without overlap; the last one is `End` or `Error`.
//! - Source: Prometheus `promql/parser/lex.go`.

mod number;
mod token;

use token::keyword;
pub(crate) use token::{Keyword, Kind, Token};

use crate::ast::BinaryOp;
use crate::position::Position;

/// What is wrong at the place of the `Error` token, which is then the last one.
#[derive(Clone, Debug)]
pub(crate) struct LexError {
    pub(crate) start: usize,
    pub(crate) message: String,
}

pub(crate) fn lex(query: &str) -> (Vec<Token>, Option<LexError>) {
    let mut lexer = Lexer { query, at: 0, start: 0, parens: 0, braces: false, brackets: None };
    let mut tokens = Vec::new();
    loop {
        match lexer.next() {
            Ok(kind) => {
                tokens.push(Token { kind, position: Position::new(lexer.start, lexer.at) });
                if kind == Kind::End {
                    return (tokens, None);
                }
            }
            Err(message) => {
                let position = Position::new(lexer.start.min(query.len()), query.len());
                tokens.push(Token { kind: Kind::Error, position });
                return (tokens, Some(LexError { start: position.start, message }));
            }
        }
    }
}

/// What has been seen since a `[`.
#[derive(Clone, Copy, Default)]
struct Brackets {
    number: bool,
    /// A number or one of the duration functions.
    duration: bool,
    colon: bool,
}

struct Lexer<'a> {
    query: &'a str,
    at: usize,
    start: usize,
    parens: usize,
    braces: bool,
    brackets: Option<Brackets>,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Kind, String> {
        let in_duration = self.brackets.is_some_and(|seen| !seen.number);
        if in_duration {
            self.take_while(is_space);
        } else {
            self.skip_blanks_and_comments();
        }
        self.start = self.at;
        if self.braces {
            self.next_in_braces()
        } else if in_duration {
            self.next_in_duration()
        } else {
            self.next_outside()
        }
    }

    fn next_outside(&mut self) -> Result<Kind, String> {
        let Some(c) = self.take() else {
            return match (self.parens, self.brackets) {
                (0, None) => Ok(Kind::End),
                (0, Some(_)) => Err("unclosed left bracket".into()),
                _ => Err("unclosed left parenthesis".into()),
            };
        };
        if let Some(operator) = self.arithmetic(c) {
            return Ok(operator);
        }
        Ok(match c {
            ',' => Kind::Comma,
            '@' => Kind::At,
            '=' => match self.peek() {
                Some('=') => self.taking(1, Kind::Operator(BinaryOp::Equal)),
                Some('~') => return Err("unexpected character after '=': '~'".into()),
                _ => Kind::Equal,
            },
            '!' => match self.take() {
                Some('=') => Kind::Operator(BinaryOp::NotEqual),
                other => return Err(format!("unexpected character after '!': {}", rune(other))),
            },
            '<' => match self.peek() {
                Some('=') => self.taking(1, Kind::Operator(BinaryOp::LessOrEqual)),
                Some('/') => self.taking(1, Kind::Operator(BinaryOp::TrimUpper)),
                _ => Kind::Operator(BinaryOp::Less),
            },
            '>' => match self.peek() {
                Some('=') => self.taking(1, Kind::Operator(BinaryOp::GreaterOrEqual)),
                Some('/') => self.taking(1, Kind::Operator(BinaryOp::TrimLower)),
                _ => Kind::Operator(BinaryOp::Greater),
            },
            '"' | '\'' | '`' => return self.string(c),
            '(' | ')' => return self.paren(c),
            '{' => {
                self.braces = true;
                Kind::LeftBrace
            }
            '[' if self.brackets.is_some() => return Err("unexpected left bracket '['".into()),
            '[' => {
                self.brackets = Some(Brackets::default());
                Kind::LeftBracket
            }
            ']' if self.brackets.take().is_some() => Kind::RightBracket,
            ']' => return Err("unexpected right bracket ']'".into()),
            c if begins_number(c, self.peek()) => return self.number_or_duration(),
            c if is_alpha(c) || c == ':' => match self.brackets {
                Some(seen) => return self.word_in_brackets(c, seen),
                None => self.word(),
            },
            c => return Err(format!("unexpected character: {}", rune(Some(c)))),
        })
    }

    fn next_in_braces(&mut self) -> Result<Kind, String> {
        let Some(c) = self.take() else {
            return Err("unexpected end of input inside braces".into());
        };
        Ok(match c {
            ',' => Kind::Comma,
            '"' | '\'' | '`' => return self.string(c),
            '=' if self.peek() == Some('~') => self.taking(1, Kind::EqualRegex),
            '=' => Kind::Equal,
            '!' => match self.take() {
                Some('~') => Kind::NotRegex,
                Some('=') => Kind::Operator(BinaryOp::NotEqual),
                other => {
                    let other = rune(other);
                    return Err(format!("unexpected character after '!' inside braces: {other}"));
                }
            },
            '{' => return Err("unexpected left brace '{'".into()),
            '}' => {
                self.braces = false;
                Kind::RightBrace
            }
            c if is_alpha(c) => {
                self.take_while(is_alphanumeric);
                Kind::Identifier
            }
            c => return Err(format!("unexpected character inside braces: {}", rune(Some(c)))),
        })
    }

    /// In brackets, before the first number.
    fn next_in_duration(&mut self) -> Result<Kind, String> {
        const UNEXPECTED: &str = "unexpected character in duration expression";
        let mut seen = self.brackets.unwrap_or_default();
        let Some(c) = self.take() else {
            return Err("unexpected end of input in duration expression".into());
        };
        if let Some(operator) = self.arithmetic(c) {
            return Ok(operator);
        }
        match c {
            ']' => {
                self.brackets = None;
                Ok(Kind::RightBracket)
            }
            ':' if !seen.duration => {
                self.start = self.at;
                Err("unexpected colon before duration in duration expression".into())
            }
            ':' if seen.colon => {
                self.start = self.at;
                Err("unexpected repeated colon in duration expression".into())
            }
            ':' => {
                seen.colon = true;
                self.brackets = Some(seen);
                Ok(Kind::Colon)
            }
            ',' => Ok(Kind::Comma),
            '(' | ')' => self.paren(c),
            c if begins_number(c, self.peek()) => {
                self.brackets = Some(Brackets { number: true, duration: true, ..seen });
                self.number_or_duration()
            }
            c if is_alpha(c) => match self.duration_keyword() {
                Some(keyword) => {
                    self.brackets = Some(Brackets { duration: true, ..seen });
                    Ok(Kind::Keyword(keyword))
                }
                None => Err(format!("{UNEXPECTED}: {}", rune(Some(c)))),
            },
            c => Err(format!("{UNEXPECTED}: {}", rune(Some(c)))),
        }
    }

    /// In brackets, after the first number: `:` or one of the duration functions, of which `c` has
    /// been taken.
    fn word_in_brackets(&mut self, c: char, seen: Brackets) -> Result<Kind, String> {
        match c {
            ':' if seen.colon => Err("unexpected colon ':'".into()),
            ':' => {
                self.brackets = Some(Brackets { colon: true, ..seen });
                Ok(Kind::Colon)
            }
            c => match self.duration_keyword() {
                Some(keyword) => Ok(Kind::Keyword(keyword)),
                None => Err(format!("unexpected character: {}, expected ':'", rune(Some(c)))),
            },
        }
    }

    fn duration_keyword(&mut self) -> Option<Keyword> {
        self.take_while(is_alpha);
        match keyword(&self.query[self.start..self.at].to_ascii_lowercase()) {
            Some(Kind::Keyword(
                keyword @ (Keyword::Step | Keyword::Range | Keyword::MinOf | Keyword::MaxOf),
            )) => Some(keyword),
            _ => None,
        }
    }

    fn arithmetic(&self, c: char) -> Option<Kind> {
        Some(Kind::Operator(match c {
            '+' => BinaryOp::Add,
            '-' => BinaryOp::Sub,
            '*' => BinaryOp::Mul,
            '/' => BinaryOp::Div,
            '%' => BinaryOp::Mod,
            '^' => BinaryOp::Pow,
            _ => return None,
        }))
    }

    fn paren(&mut self, c: char) -> Result<Kind, String> {
        if c == '(' {
            self.parens += 1;
            return Ok(Kind::LeftParen);
        }
        if self.parens == 0 {
            self.start = self.at;
            return Err("unexpected right parenthesis ')'".into());
        }
        self.parens -= 1;
        Ok(Kind::RightParen)
    }

    fn word(&mut self) -> Kind {
        self.take_while(|c| is_alphanumeric(c) || c == ':');
        let text = &self.query[self.start..self.at];
        if text.contains(':') {
            return Kind::MetricIdentifier;
        }
        match keyword(&text.to_ascii_lowercase()) {
            // These are metric names unless a parenthesis follows, so as not to break old queries.
            Some(Kind::Keyword(
                Keyword::Fill
                | Keyword::FillLeft
                | Keyword::FillRight
                | Keyword::Step
                | Keyword::Range
                | Keyword::MinOf
                | Keyword::MaxOf,
            )) if !self.rest().trim_start_matches(is_space).starts_with('(') => Kind::Identifier,
            Some(kind) => kind,
            None => Kind::Identifier,
        }
    }

    /// A quoted string; the opening quote has been taken.
    fn string(&mut self, quote: char) -> Result<Kind, String> {
        loop {
            match self.take() {
                Some(c) if c == quote => return Ok(Kind::String),
                None if quote == '`' => return Err("unterminated raw string".into()),
                Some('\n') | None if quote != '`' => {
                    return Err("unterminated quoted string".into());
                }
                Some('\\') if quote != '`' => self.escape(quote)?,
                _ => {}
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<(), String> {
        let (mut digits, base, max) = match self.take() {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == quote => return Ok(()),
            Some('0'..='7') => {
                self.at -= 1;
                (3, 8, 255)
            }
            Some('x') => (2, 16, 255),
            Some('u') => (4, 16, 0x0010_ffff),
            Some('U') => (8, 16, 0x0010_ffff),
            None => return Err("escape sequence not terminated".into()),
            Some(c) => return Err(format!("unknown escape sequence {}", code_point(c))),
        };
        let mut value: u64 = 0;
        while digits > 0 {
            let Some(c) = self.take() else {
                return Err("escape sequence not terminated".into());
            };
            let Some(digit) = c.to_digit(base) else {
                let c = code_point(c);
                return Err(format!("illegal character {c} in escape sequence"));
            };
            value = value * u64::from(base) + u64::from(digit);
            digits -= 1;
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".into());
        }
        Ok(())
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            self.take_while(is_space);
            if self.peek() != Some('#') {
                return;
            }
            self.take_while(|c| c != '\n' && c != '\r');
        }
    }

    fn rest(&self) -> &str {
        &self.query[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn taking(&mut self, bytes: usize, kind: Kind) -> Kind {
        self.at += bytes;
        kind
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> usize {
        let rest = self.rest();
        let taken = rest.len() - rest.trim_start_matches(accept).len();
        self.at += taken;
        taken
    }
}

fn begins_number(c: char, next: Option<char>) -> bool {
    c.is_ascii_digit() || (c == '.' && next.is_some_and(|c| c.is_ascii_digit()))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}

/// Go's `%q` of a rune.
fn rune(c: Option<char>) -> String {
    match c {
        None => "'�'".to_owned(),
        Some(c) => format!("{c:?}"),
    }
}

/// Go's `%#U` of a rune.
fn code_point(c: char) -> String {
    format!("U+{:04X} '{c}'", u32::from(c))
}
