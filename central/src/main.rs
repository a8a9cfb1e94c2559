//! Central: two replicas in different zones. The last aggregation, the global rules, the alerts, and
//! Grafana's data source.

use std::process::ExitCode;
use std::time::Duration;

const CENTRAL: server::Tier = server::Tier {
    program: "watershed-central",
    about: "Aggregates the whole fleet, evaluates the global rules and sends the alerts",
    version: env!("CARGO_PKG_VERSION"),
    listen_address: "127.0.0.1:9303",
    // As long as a link's backlog may take to be filled in.
    out_of_order_window: Duration::from_secs(2 * 3600),
};

fn main() -> ExitCode {
    server::main(&CENTRAL)
}
