//! The `watershed` command.

#![allow(clippy::print_stderr, reason = "the last word of a command that fails")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cli::{check, demo, query, rule_tests, simulator, tsdb};

/// Checks, asks and demonstrates a Watershed.
#[derive(Debug, Parser)]
#[command(name = "watershed", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether files are what a server would take
    Check(check::CheckArgs),
    /// Try rules on series that are made up
    Rules(rule_tests::RulesArgs),
    /// Ask a server that speaks the Prometheus HTTP API
    Query(query::QueryArgs),
    /// Look into a data directory, with or without a server on it
    Tsdb(tsdb::TsdbArgs),
    /// Run a whole tree on this machine
    Demo(demo::DemoArgs),
    /// Serve the synthetic fleet of the demo alone
    Simulator(simulator::SimulatorArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Rules(arguments) => rule_tests::run(arguments).await,
        Command::Query(arguments) => query::run(arguments).await,
        Command::Tsdb(arguments) => tsdb::run(&arguments),
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Simulator(arguments) => simulator::run(arguments).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
