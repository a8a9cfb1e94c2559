//! `scrape_config_files`: files that hold more of `scrape_configs`, and nothing else.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use model::null_as_default;
use scrape::ScrapeConfig;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScrapeConfigsYaml {
    #[serde(default, deserialize_with = "null_as_default")]
    scrape_configs: Vec<ScrapeConfig>,
}

/// Adds the entries of `files` to `configs`. An error names the file, and the line in it.
pub(super) fn add_to(configs: &mut Vec<ScrapeConfig>, files: &[PathBuf]) -> anyhow::Result<()> {
    let mut places: HashMap<String, String> = configs
        .iter()
        .map(|config| (config.job_name.clone(), "the main file".to_owned()))
        .collect();
    for file in files {
        let read = read(file).with_context(|| file.display().to_string())?;
        for config in &read {
            let here = format!("{:?}", file.display());
            let earlier = places.insert(config.job_name.clone(), here);
            ensure!(
                earlier.is_none(),
                "{}: found multiple scrape configs with job name {:?}, first found in {}",
                file.display(),
                config.job_name,
                earlier.unwrap_or_default()
            );
        }
        configs.extend(read);
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Vec<ScrapeConfig>> {
    let text = fs::read_to_string(file)?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let yaml: ScrapeConfigsYaml = serde_yaml_ng::from_str(&text).map_err(super::located)?;
    let mut configs = yaml.scrape_configs;
    for config in &mut configs {
        config.set_directory(file.parent().unwrap_or(Path::new(".")));
    }
    Ok(configs)
}
