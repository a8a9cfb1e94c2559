//! The configuration as it may be shown: without its secrets.

use serde_yaml_ng::Value;
use url::Url;

const SECRET: &str = "<secret>";
/// Keys whose values are secrets, wherever they stand.
const SECRET_KEYS: [&str; 7] =
    ["password", "credentials", "bearer_token", "client_secret", "secret", "secrets", "secret_key"];
/// Keys whose values hold secrets under whatever key.
const SECRET_MAPPINGS: [&str; 1] = ["proxy_connect_header"];
/// Keys in whose values `key` is a secret.
const KEY_HOLDERS: [&str; 1] = ["tls_config"];

/// The same YAML with secrets replaced. Comments are lost, and with them what they might tell.
pub(super) fn without_secrets(yaml: &str) -> anyhow::Result<String> {
    let mut value: Value = serde_yaml_ng::from_str(yaml)?;
    hide(&mut value);
    Ok(serde_yaml_ng::to_string(&value)?)
}

fn hide(value: &mut Value) {
    match value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping.iter_mut() {
                let key = key.as_str().unwrap_or_default();
                if SECRET_KEYS.contains(&key) {
                    hide_all(value);
                    continue;
                }
                if SECRET_MAPPINGS.contains(&key) {
                    hide_all(value);
                } else if KEY_HOLDERS.contains(&key)
                    && let Some(key) = value.get_mut("key")
                {
                    hide_all(key);
                }
                hide(value);
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(hide),
        Value::Tagged(tagged) => hide(&mut tagged.value),
        Value::String(text) => hide_url_password(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Keeps lists and mappings, of which the rest tells what is configured.
fn hide_all(value: &mut Value) {
    match value {
        Value::Mapping(mapping) => mapping.values_mut().for_each(hide_all),
        Value::Sequence(items) => items.iter_mut().for_each(hide_all),
        _ => *value = Value::String(SECRET.to_owned()),
    }
}

/// `http://user:pass@host/` becomes `http://user:xxxxx@host/`, as Prometheus shows it.
fn hide_url_password(text: &mut String) {
    if !text.contains('@') {
        return;
    }
    if let Ok(mut url) = Url::parse(text)
        && url.password().is_some()
        && url.set_password(Some("xxxxx")).is_ok()
    {
        *text = url.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let yaml = "
remote_write:
- url: http://me:hush@host/write # hush
  basic_auth: {username: me, password: hush}
  oauth2: {client_id: me, client_secret: hush, tls_config: {key: hush}}
  proxy_url: http://me:hush@proxy
  proxy_connect_header: {X-A: [hush, hush]}
scrape_configs:
- job_name: a@b
  authorization: {credentials: hush}
  tls_config: {cert: visible, key: 'hush'}
  http_headers: {X-B: {values: [visible], secrets: [hush, hush]}}
- bearer_token: hush
alerting:
  alertmanagers: [{tls_config: {key: hush}}]
";
        let shown = without_secrets(yaml).unwrap();
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("http://me:xxxxx@host/write"), "{shown}");
        assert!(shown.contains("password: <secret>"), "{shown}");
        assert!(shown.contains("job_name: a@b"), "{shown}");
        assert_eq!(shown.matches("<secret>").count(), 11, "{shown}");
        assert_eq!(shown.matches("visible").count(), 2, "{shown}");
    }
}
