//! `watershed check`: whether files are what a server would take, without starting one.

mod metrics;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use promql::Features;
use server::config::Config;

use crate::features::FeatureArgs;

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Configuration files, and the rule files that they name
    Config {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        features: FeatureArgs,
    },
    /// Rule files
    Rules {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        features: FeatureArgs,
    },
    /// What a target exposes, from standard input
    Metrics,
}

/// Says of each file what is in it or what is wrong with it, and fails if anything is.
pub fn run(arguments: &CheckArgs) -> anyhow::Result<()> {
    let bad_files = match &arguments.what {
        What::Config { files, features } => {
            let features = features.engine_options()?.features;
            files.iter().filter(|file| !config(file, features)).count()
        }
        What::Rules { files, features } => {
            bad_rule_files(files, features.engine_options()?.features)
        }
        What::Metrics => {
            let mut page = Vec::new();
            io::stdin().read_to_end(&mut page).context("read standard input")?;
            println!("{}", metrics::check(&page)?);
            0
        }
    };
    match bad_files {
        0 => Ok(()),
        1 => bail!("1 file is not valid"),
        bad => bail!("{bad} files are not valid"),
    }
}

/// Whether the file is good, and the files that it names.
fn config(file: &Path, features: Features) -> bool {
    let config = match Config::load(file, features) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error:#}");
            return false;
        }
    };
    let file = file.display();
    let checked = config.check_files();
    for variable in &config.unset_variables {
        println!("{file}: warning: the variable {variable:?} of external_labels has no value here");
    }
    for missing in &checked.missing {
        println!("{file}: warning: {missing}");
    }
    let missing = config.missing_files.iter().map(ToString::to_string);
    let errors: Vec<String> = missing.chain(checked.errors).collect();
    for error in &errors {
        eprintln!("{file}: {error}");
    }
    if errors.is_empty() {
        println!(
            "{file}: {} scrape jobs, {} rule groups, {} remote writes",
            config.scrape_jobs.len(),
            config.rule_groups.len(),
            config.remote_write.len()
        );
    }
    errors.is_empty()
}

fn bad_rule_files(files: &[PathBuf], features: Features) -> usize {
    let mut bad = 0;
    for file in rules::check_files(files, features) {
        for error in &file.errors {
            eprintln!("{error}");
        }
        if !file.errors.is_empty() {
            bad += 1;
            continue;
        }
        let path = file.path.display();
        println!("{path}: {} groups, {} rules", file.groups, file.rules);
        for rule in &file.duplicates {
            println!(
                "{path}: warning: more than one rule {} with labels {:?}",
                rule.name, rule.labels
            );
        }
    }
    bad
}
