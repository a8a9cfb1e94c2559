//! What alerts were doing before a restart: read back from the series `ALERTS_FOR_STATE`.

use std::collections::BTreeMap;

use model::{Labels, METRIC_NAME, Matcher, Sample, TimeRange, Timestamp};
use storage::{Query, QueryError, Selection};

use crate::alerting::ALERTS_FOR_STATE_METRIC;

/// The last `ALERTS_FOR_STATE` sample of each alert of the rule called `alert`, by the alert's labels;
/// none older than `from`.
pub(crate) fn saved_states(
    query: &dyn Query,
    alert: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<Labels, Sample>, QueryError> {
    let matchers = vec![
        Matcher::equal(METRIC_NAME, ALERTS_FOR_STATE_METRIC),
        Matcher::equal("alertname", alert),
    ];
    let latest = query.latest(&Selection::new(TimeRange::new(from, to), matchers))?;
    let by_alert = |(labels, sample): (Labels, Sample)| (labels.without(&[METRIC_NAME]), sample);
    Ok(latest.into_iter().map(by_alert).collect())
}
