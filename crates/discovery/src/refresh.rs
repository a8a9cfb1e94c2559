//! Providers that ask again and again.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::TargetGroup;
use crate::feed::Feed;
use crate::metrics::Metrics;

/// Somebody who can be asked for all groups at once.
pub(crate) trait Ask: Send {
    type Error: fmt::Display + Send;

    fn ask(&mut self) -> impl Future<Output = Result<Vec<TargetGroup>, Self::Error>> + Send;
}

/// Asks now and every `interval`. After a failure what was found last stays (DISCOVER-1).
pub(crate) async fn run(
    mechanism: &'static str,
    mut source: impl Ask,
    interval: Duration,
    feed: Feed,
    metrics: Metrics,
) {
    loop {
        match source.ask().await {
            Ok(groups) => feed.replace(groups),
            Err(error) => {
                metrics.failed(mechanism);
                tracing::error!(mechanism, %error, "look for targets; the last ones stay");
            }
        }
        tokio::time::sleep(interval).await;
    }
}
