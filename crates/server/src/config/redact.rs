//! The configuration as it may be shown: without its secrets.

use serde_yaml_ng::Value;
use url::Url;

const SECRET: &str = "<secret>";
/// Keys whose values are secrets, wherever they stand.
const SECRET_KEYS: [&str; 6] =
    ["password", "credentials", "bearer_token", "client_secret", "secret", "secret_key"];

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
                if key.as_str().is_some_and(|key| SECRET_KEYS.contains(&key)) {
                    *value = Value::String(SECRET.to_owned());
                } else {
                    hide(value);
                }
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(hide),
        Value::Tagged(tagged) => hide(&mut tagged.value),
        Value::String(text) => hide_url_password(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
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
        let shown = without_secrets(
            "remote_write:\n- url: http://me:hush@host/write # hush\n  basic_auth: {username: me, \
             password: hush}\n  authorization:\n    credentials: hush\nscrape_configs:\n- job_name: a@b",
        )
        .unwrap();
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("http://me:xxxxx@host/write"), "{shown}");
        assert!(shown.contains("password: <secret>"), "{shown}");
        assert!(shown.contains("job_name: a@b"), "{shown}");
    }
}
