//! `watershed rules`: what can be done with rules beside checking and running them.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};

use crate::features::FeatureArgs;

#[derive(Debug, Args)]
pub struct RulesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run unit tests of rules, in the format of `promtool test rules`
    Test {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        features: FeatureArgs,
    },
}

/// Says of each file how its tests went, and fails if one did not pass.
pub async fn run(arguments: RulesArgs) -> anyhow::Result<()> {
    let What::Test { files, features } = arguments.what;
    let options = features.engine_options()?;
    let tested = tokio::task::spawn_blocking(move || rules::test_files(&files, &options)).await?;
    let mut failed_files = 0;
    for file in tested {
        let path = file.path.display();
        if file.failures.is_empty() {
            println!("{path}: {} tests passed", file.tests);
            continue;
        }
        failed_files += 1;
        for failure in &file.failures {
            eprintln!("{path}: {failure}");
        }
    }
    match failed_files {
        0 => Ok(()),
        1 => bail!("tests in 1 file failed"),
        failed => bail!("tests in {failed} files failed"),
    }
}
