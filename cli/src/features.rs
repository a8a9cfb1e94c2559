//! `--enable-feature` of the commands that read queries.

use anyhow::bail;
use clap::Args;
use promql::EngineOptions;

#[derive(Debug, Args)]
pub struct FeatureArgs {
    /// Experimental parts of PromQL, by Prometheus' names: promql-experimental-functions, …
    #[arg(long = "enable-feature", value_name = "NAMES", value_delimiter = ',')]
    names: Vec<String>,
}

impl FeatureArgs {
    /// The engine that has them.
    pub(crate) fn engine_options(&self) -> anyhow::Result<EngineOptions> {
        let mut options = EngineOptions::default();
        for name in self.names.iter().filter(|name| !name.is_empty()) {
            if !options.enable(name) {
                bail!("--enable-feature: queries have no feature {name:?}");
            }
        }
        Ok(options)
    }
}
