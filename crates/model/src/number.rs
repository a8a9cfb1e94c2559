//! Numbers as Go's `%g` writes them.

use std::fmt;

/// The fewest digits that read back the same, with an exponent below 1e-4 and from 1e6 on.
#[derive(Clone, Copy, Debug)]
pub struct General(pub f64);

impl fmt::Display for General {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = *self;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        if value == 0.0 || (1e-4..1e6).contains(&value.abs()) {
            return write!(f, "{value}");
        }
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').expect("`{:e}` writes an exponent");
        match exponent.strip_prefix('-') {
            Some(power) => write!(f, "{digits}e-{power:0>2}"),
            None => write!(f, "{digits}e+{exponent:0>2}"),
        }
    }
}
