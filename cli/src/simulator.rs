//! `watershed simulator`: serves the synthetic fleet alone.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use model::Timestamp;
use simulator::{Fleet, Profile};
use tokio::net::TcpListener;

/// The fleet of the demo.
pub const SEED: u64 = 1;

#[derive(Debug, Args)]
pub struct SimulatorArgs {
    #[arg(long = "listen-address", default_value = "127.0.0.1:9300")]
    listen_address: SocketAddr,
    /// The same seed gives the same fleet
    #[arg(long, default_value_t = SEED)]
    seed: u64,
}

pub async fn run(arguments: SimulatorArgs) -> anyhow::Result<()> {
    let fleet = Arc::new(Fleet::new(&Profile::demo(), arguments.seed));
    let clock = Arc::new(|| Timestamp::from_millis(jiff::Timestamp::now().as_millisecond()));
    let listener = TcpListener::bind(arguments.listen_address).await;
    let listener = listener.with_context(|| format!("listen on {}", arguments.listen_address))?;
    println!("serving {} targets on {}", fleet.targets().len(), arguments.listen_address);
    axum::serve(listener, simulator::router(fleet, clock)).await.context("serve")
}
