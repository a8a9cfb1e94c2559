//! Whether a configuration has changed: the file, and the files of rules and jobs that it names.
//!
//! Files that appear under a pattern, that go, and that cannot be read make a difference too, so that
//! whatever a reload would see otherwise is seen here.
//!
//! Source: Prometheus `config/reload.go`.

use std::fs;
use std::path::Path;

use model::null_as_default;
use serde::Deserialize;
use xxhash_rust::xxh3::Xxh3;

use crate::config::files::Files;

/// The keys that name other files, and whatever else there is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedFiles {
    #[serde(deserialize_with = "null_as_default")]
    rule_files: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    scrape_config_files: Vec<String>,
}

pub(crate) fn fingerprint(path: &Path) -> u64 {
    let mut hash = Xxh3::new();
    let text = add(&mut hash, path);
    // Of what is not to be understood, only the text counts.
    let named: NamedFiles = serde_yaml_ng::from_slice(&text).unwrap_or_default();
    let directory = path.parent().unwrap_or(Path::new("."));
    for (key, patterns) in
        [("rule_files", &named.rule_files), ("scrape_config_files", &named.scrape_config_files)]
    {
        let files = Files::find(key, patterns, directory).unwrap_or_default();
        for file in files.found {
            hash.update(key.as_bytes());
            add(&mut hash, &file);
        }
    }
    hash.digest()
}

/// Gives what the file holds; nothing if it cannot be read.
fn add(hash: &mut Xxh3, path: &Path) -> Vec<u8> {
    let read = fs::read(path);
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update(&[u8::from(read.is_ok())]);
    let text = read.unwrap_or_default();
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(&text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_reload_would_see_makes_a_difference() {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("main.yml");
        let mut last = fingerprint(&main);
        let mut changes = |file: &str, text: Option<&str>, changes: bool| {
            let path = directory.path().join(file);
            match text {
                Some(text) => fs::write(path, text).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
            let now = fingerprint(&main);
            assert_eq!(now != last, changes, "{file}: {text:?}");
            last = now;
        };
        let text = "rule_files: ['r*.yml']\nscrape_config_files: [s.yml]\nscrape_configs:";
        changes("main.yml", Some(text), true);
        changes("main.yml", Some(text), false);
        changes("r1.yml", Some("a"), true);
        changes("r1.yml", Some("b"), true);
        changes("r2.yml", Some(""), true);
        changes("r2.yml", None, true);
        changes("s.yml", Some("a"), true);
        changes("s.yml", Some("a"), false);
        changes("other.yml", Some("a"), false);
        changes("main.yml", Some("rule_files: ["), true);
        changes("main.yml", None, true);
    }
}
