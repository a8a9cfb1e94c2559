//! The `watershed` command.

use clap::{Parser, Subcommand};
use cli::{demo, query, simulator};

/// Checks, asks and demonstrates a Watershed.
#[derive(Debug, Parser)]
#[command(name = "watershed", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask a server that speaks the Prometheus HTTP API
    Query(query::QueryArgs),
    /// Run a whole tree on this machine
    Demo(demo::DemoArgs),
    /// Serve the synthetic fleet of the demo alone
    Simulator(simulator::SimulatorArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match CommandLine::parse().command {
        Command::Query(arguments) => query::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Simulator(arguments) => simulator::run(arguments).await,
    }
}
