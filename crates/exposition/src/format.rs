//! Which format a body is in.

/// A text format that [`Parser`](crate::Parser) reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The Prometheus text format, versions 0.0.4 and 1.0.0.
    Text,
    /// OpenMetrics text, versions 0.0.1 and 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The format that an HTTP `Content-Type` names, its parameters aside; `None` if it is not one
    /// of ours.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("text/plain") {
            Some(Self::Text)
        } else if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            Some(Self::OpenMetrics)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_name_formats() {
        #[track_caller]
        fn check(content_type: &str, expect: Option<Format>) {
            assert_eq!(Format::from_content_type(content_type), expect, "{content_type:?}");
        }
        check("text/plain", Some(Format::Text));
        check("text/plain; version=0.0.4; charset=utf-8", Some(Format::Text));
        check("Text/Plain;version=1.0.0;escaping=allow-utf-8", Some(Format::Text));
        check("application/openmetrics-text; version=1.0.0", Some(Format::OpenMetrics));
        check("text/html; charset=utf-8", None);
        check("application/json", None);
        check("", None);
    }
}
