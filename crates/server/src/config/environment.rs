//! Variables of the environment in the values of external labels.
//!
//! ```text
//! "$NAME" | "${NAME}"  the variable's value, or nothing if it has none
//! "$$" | "${$}"        a dollar sign
//! ```
//! Source: Go's `os.Expand`, by which Prometheus does it; its treatment of broken forms included: `${}`
//! and `${` are dropped, and a `$` before what starts no name stays.

/// `text` with its variables replaced. `variable` tells a value; it is not asked about `$`.
pub(super) fn expand(text: &str, mut variable: impl FnMut(&str) -> String) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, taken) = name(after);
        match name {
            Some("$") => expanded.push('$'),
            Some(name) => expanded.push_str(&variable(name)),
            None if taken == 0 => expanded.push('$'),
            None => {}
        }
        rest = &after[taken..];
    }
    expanded + rest
}

/// The name at the start of `text`, and how many bytes it takes, braces included.
fn name(text: &str) -> (Option<&str>, usize) {
    let Some(braced) = text.strip_prefix('{') else {
        let length = match text.chars().next() {
            Some(first) if is_special(first) => 1,
            _ => text.find(|c: char| !is_of_name(c)).unwrap_or(text.len()),
        };
        return (Some(&text[..length]).filter(|name| !name.is_empty()), length);
    };
    match braced.find('}') {
        None => (None, 1),
        Some(0) => (None, 2),
        Some(end) => (Some(&braced[..end]), end + 2),
    }
}

/// What a shell would have a special meaning for: a name of its own.
fn is_special(c: char) -> bool {
    matches!(c, '*' | '#' | '$' | '@' | '!' | '?' | '-' | '0'..='9')
}

fn is_of_name(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> String {
        match name {
            "REGION" => "cn-hangzhou".to_owned(),
            "_1" => "one".to_owned(),
            _ => String::new(),
        }
    }

    #[test]
    fn variables_are_replaced_as_go_does_it() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            assert_eq!(expand(text, lookup), expect, "{text}");
        }
        check("plain", "plain");
        check("$REGION", "cn-hangzhou");
        check("a-${REGION}b$REGION/", "a-cn-hangzhoubcn-hangzhou/");
        check("$REGIONx|${UNSET}|$_1", "||one");
        check("$$|$$REGION|${$}", "$|$REGION|$");
        check("100$ | $é | $", "100$ | $é | $");
        check("$5|$*", "|");
        check("${}x${REGION", "xREGION");
        check("ü${é}ü", "üü");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[$a-c{}é]{0,20}") {
            let expanded = expand(&text, |name| format!("<{name}>"));
            prop_assert!(text.contains('$') || expanded == text);
        }
    }
}
