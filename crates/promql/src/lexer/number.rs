//! Numbers and durations: `1_000`, `0x1F`, `2.5e-3`, `1h30m`.
//!
//! What looks like either is cut out first and read later: `1.2.3` and `5hs` are one token each, of
//! which the parser says what is wrong.

use super::{Kind, Lexer, is_alphanumeric};

impl Lexer<'_> {
    /// The number or duration at `start`, of which the first character has been taken.
    pub(super) fn number_or_duration(&mut self) -> Result<Kind, String> {
        self.at = self.start;
        if self.number() {
            return Ok(Kind::Number);
        }
        if self.rest_of_duration() {
            return Ok(Kind::Duration);
        }
        let text = &self.query[self.start..self.at];
        Err(format!("bad number or duration syntax: {text:?}"))
    }

    /// Stops where it is no number any more; there, it may be a duration.
    fn number(&mut self) -> bool {
        let hex = self.taken("0") && self.taken("xX");
        let mut has_dot = false;
        if !hex {
            self.taken(".");
        }
        let mut has_exponent = false;
        while let Some(c) = self.peek() {
            match c {
                c if c.is_digit(if hex { 16 } else { 10 }) => self.at += 1,
                '.' => {
                    self.at += 1;
                    if has_dot || hex || self.taken("_.") {
                        return false;
                    }
                    has_dot = true;
                }
                'e' | 'E' => {
                    self.at += 1;
                    if has_exponent {
                        return false;
                    }
                    has_exponent = true;
                    self.taken("+-");
                    if self.taken("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                '_' => {
                    self.at += 1;
                    if self.taken("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                _ => break,
            }
        }
        !self.peek().is_some_and(is_alphanumeric)
    }

    /// A unit, and more numbers with units, after a first number. What does not fit is taken too.
    fn rest_of_duration(&mut self) -> bool {
        if !self.taken("smhdwy") {
            return false;
        }
        self.taken("s"); // of `ms`; other units with an `s` are refused when it is read
        while self.take_while(|c| c.is_ascii_digit()) > 0 {
            if !self.taken("smhdw") {
                return false;
            }
            self.taken("s");
        }
        match self.peek() {
            Some(c) if is_alphanumeric(c) => {
                self.at += 1;
                false
            }
            _ => true,
        }
    }

    /// Steps over the next character if it is `one_of` these, which are ASCII.
    fn taken(&mut self, one_of: &str) -> bool {
        let taken = self.peek().is_some_and(|c| one_of.contains(c));
        self.at += usize::from(taken);
        taken
    }
}
