//! A regular expression that matches whole values.

use regex::{Captures, Regex, RegexBuilder};

use crate::RelabelError;

/// A regex may not compile to more than this.
const REGEX_BYTES_MAX: usize = 8 << 20;

/// `^(?s:…)$` around the regex of a configuration.
#[derive(Clone, Debug)]
pub struct Anchored {
    text: String,
    regex: Regex,
}

impl Anchored {
    pub fn new(text: &str) -> Result<Self, RelabelError> {
        let regex = RegexBuilder::new(&format!("^(?s:{text})$"))
            .size_limit(REGEX_BYTES_MAX)
            .build()
            .map_err(|error| RelabelError::Regex {
                text: text.to_owned(),
                reason: last_line(&error.to_string()),
            })?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// The regex as it was written, without the anchors.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_match(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    pub(crate) fn captures<'a>(&self, value: &'a str) -> Option<Captures<'a>> {
        self.regex.captures(value)
    }

    /// The number of the group called `name`, which may be a number itself.
    pub(crate) fn group(&self, name: &str) -> Option<usize> {
        match name.parse() {
            Ok(number) if name == "0" || !name.starts_with('0') => {
                (number < self.regex.captures_len()).then_some(number)
            }
            _ => self.regex.capture_names().position(|found| found == Some(name)),
        }
    }
}

impl PartialEq for Anchored {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Anchored {}

/// The regex crate draws the pattern over several lines; the last one says what is wrong.
fn last_line(message: &str) -> String {
    let line = message.trim_end().rsplit('\n').next().unwrap_or(message);
    line.trim().trim_start_matches("error: ").to_owned()
}
