//! A real Prometheus on both sides of an edge:
//!
//! ```text
//!               ┌──── scrape ────┐
//!               ▼                │
//!  page ◄─ scrape ─ prometheus ─ remote write ─► edge
//!                     ▲                            │
//!                     └──── pulls /federate ◄──────┘
//! ```

use std::time::Duration;

use anyhow::ensure;
use cli::programs::Tier;
use system_tests::page::Page;
use system_tests::{Lab, eventually};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn prometheus_writes_to_an_edge_and_federates_from_it() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let page = Page::serve(
        "# TYPE told counter\ntold{by=\"page\"} 7\n\
         # TYPE took histogram\n\
         took_bucket{le=\"1\"} 3\ntook_bucket{le=\"+Inf\"} 4\ntook_sum 5.5\ntook_count 4\n",
    )
    .await?;
    let edge = "global: {external_labels: {region: r}}\n";
    let edge = lab.tier(Tier::Edge, "edge", edge).await?;
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - job_name: page\n  \
           static_configs: [{{targets: ['127.0.0.1:{}']}}]\n\
         - job_name: edge\n  \
           static_configs: [{{targets: ['127.0.0.1:{}']}}]\n\
         - job_name: federate\n  \
           metrics_path: /federate\n  \
           honor_labels: true\n  \
           params: {{'match[]': ['{{job=\"page\"}}']}}\n  \
           static_configs: [{{targets: ['127.0.0.1:{}']}}]\n\
         remote_write:\n\
         - url: {}\n  \
           queue_config: {{batch_send_deadline: 1s}}\n  \
           write_relabel_configs:\n  \
           - {{source_labels: [region], regex: '.+', action: drop}}\n",
        page.port,
        edge.port,
        edge.port,
        edge.url("/api/v1/write"),
    );
    let prometheus = lab.prometheus("prometheus", &config).await?;

    let expect = [
        // Written to the edge, as it was scraped.
        (&edge, "told{by='page', job='page'}", 7.0),
        (&edge, "histogram_quantile(0.75, took_bucket)", 1.0),
        // Federated from the edge, with the label that it stamps on what leaves.
        (&prometheus, "told{by='page', job='page', region='r'}", 7.0),
        (&prometheus, "took_sum{region='r'}", 5.5),
        // The edge's account of itself is a page that Prometheus reads.
        (&prometheus, "up{job='edge'}", 1.0),
        (&prometheus, "up{job='federate'}", 1.0),
    ];
    for (server, query, value) in expect {
        eventually(SOON, async || {
            let got = server.value(query).await?;
            ensure!(got == Some(value), "{query} at {}: {got:?}", server.process.name());
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_series_that_ends_at_prometheus_ends_at_the_edge_too() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let page = Page::serve("stays 1\ngoes 1\n").await?;
    let edge = lab.tier(Tier::Edge, "edge", "").await?;
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: page, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n\
         remote_write: [{{url: '{}', queue_config: {{batch_send_deadline: 1s}}}}]\n",
        page.port,
        edge.url("/api/v1/write"),
    );
    let _prometheus = lab.prometheus("prometheus", &config).await?;
    let shows = async |query: &str, expect: Option<f64>| {
        eventually(SOON, async || {
            let got = edge.value(query).await?;
            ensure!(got == expect, "{query}: {got:?}");
            Ok(())
        })
        .await
    };
    shows("goes", Some(1.0)).await?;
    page.set("stays 2\n");
    shows("stays", Some(2.0)).await?;
    // By its staleness marker: the lookback would keep it for five minutes.
    shows("goes", None).await
}
