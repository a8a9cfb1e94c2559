//! The edge: one in each meta-cluster. Scrapes what runs there, takes in what its tenant clusters
//! write, and hands on what the tier above is to know.

use std::process::ExitCode;
use std::time::Duration;

const EDGE: server::Tier = server::Tier {
    program: "watershed-edge",
    about: "Collects the metrics of one meta-cluster and of its tenant clusters",
    version: env!("CARGO_PKG_VERSION"),
    listen_address: "127.0.0.1:9301",
    out_of_order_window: Duration::ZERO,
};

fn main() -> ExitCode {
    server::main(&EDGE)
}
