//! The cascade: one for each large geography. Collects from its edges, or from cascades of its own,
//! and aggregates them.

use std::process::ExitCode;
use std::time::Duration;

const CASCADE: server::Tier = server::Tier {
    program: "watershed-cascade",
    about: "Collects from the edges of one geography and aggregates them",
    version: env!("CARGO_PKG_VERSION"),
    listen_address: "127.0.0.1:9302",
    // As long as a link's backlog may take to be filled in.
    out_of_order_window: Duration::from_secs(2 * 3600),
};

fn main() -> ExitCode {
    server::main(&CASCADE)
}
