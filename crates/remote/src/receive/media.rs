//! Which message a `Content-Type` announces.

use crate::receive::batch::Version;

/// `None` where it is none that we read. An empty header means 1.0, as in Prometheus.
pub(super) fn version(content_type: &str) -> Option<Version> {
    if content_type.trim().is_empty() {
        return Some(Version::V1);
    }
    let mut parts = split_outside_quotes(content_type);
    if !parts.next()?.eq_ignore_ascii_case("application/x-protobuf") {
        return None;
    }
    let mut version = Version::V1;
    for parameter in parts.filter(|part| !part.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        if name.trim_end().eq_ignore_ascii_case("proto") {
            version = match unquoted(value.trim_start()).as_str() {
                "prometheus.WriteRequest" => Version::V1,
                "io.prometheus.write.v2.Request" => Version::V2,
                _ => return None,
            };
        }
    }
    Some(version)
}

/// The parts between semicolons, trimmed; a semicolon in quotes separates nothing.
fn split_outside_quotes(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = move |c: char| {
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        c == ';' && !quoted
    };
    text.split(separates).map(str::trim)
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let (mut text, mut escaped) = (String::with_capacity(inner.len()), false);
    for c in inner.chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_read_with_their_parameters() {
        #[track_caller]
        fn check(content_type: &str, expect: Option<Version>) {
            assert_eq!(version(content_type), expect, "{content_type:?}");
        }
        check("", Some(Version::V1));
        check("application/x-protobuf", Some(Version::V1));
        check("Application/X-Protobuf; charset=utf-8", Some(Version::V1));
        check("application/x-protobuf;proto=prometheus.WriteRequest", Some(Version::V1));
        check("application/x-protobuf;proto=io.prometheus.write.v2.Request", Some(Version::V2));
        check(
            "application/x-protobuf ; PROTO = \"io.prometheus.write.v2.Request\" ;",
            Some(Version::V2),
        );
        check(
            r#"application/x-protobuf; a="x;\";proto=b"; proto=prometheus.WriteRequest"#,
            Some(Version::V1),
        );
        check("application/x-protobuf;proto=io.prometheus.write.v3.Request", None);
        check("application/x-protobuf;proto=", None);
        check("application/x-protobuf;proto", None);
        check("application/json", None);
        check("text/plain;proto=prometheus.WriteRequest", None);
    }
}
