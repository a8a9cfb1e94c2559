//! The server that all three tiers are: flags, configuration file, wiring, lifecycle.
//!
//! The tiers' binaries differ in their [`Tier`] only. This crate knows every adapter, which do not
//! know each other; it holds no algorithm.

pub mod config;
mod flags;
mod gate;
mod lifecycle;
mod listener;
mod logging;
mod machine;
mod maintenance;
mod parts;
mod reload;
mod routes;
mod status;
mod telemetry;
mod tier;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::flags::Flags;
pub use crate::tier::Tier;

/// Runs a tier as a process, from the command line to its exit code.
pub fn main(tier: &Tier) -> ExitCode {
    let flags = match Flags::from_command_line(tier) {
        Ok(flags) => flags,
        Err(error) => {
            logging::start(logging::LogLevel::default(), logging::LogFormat::Logfmt);
            tracing::error!(error = format!("{error:#}"), "bad command line");
            return ExitCode::from(2);
        }
    };
    logging::start(flags.log_level, flags.log_format);
    match run(tier, flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "stopped");
            ExitCode::FAILURE
        }
    }
}

fn run(tier: &Tier, flags: Flags) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the async runtime")?;
    let outcome = runtime.block_on(lifecycle::run(tier, flags));
    // A compaction may still be at work, for minutes; it leaves nothing half done when it is cut.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}
