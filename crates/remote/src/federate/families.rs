//! Which metric family a series belongs to: a histogram's series are named after its parts.

use model::{Metadata, MetricType};
use rustc_hash::FxHashMap;

/// What is known of families, by name.
#[derive(Debug)]
pub(super) struct Families<'a> {
    known: FxHashMap<&'a str, &'a Metadata>,
}

/// The family to write a series under.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Family<'a> {
    pub(super) name: &'a str,
    pub(super) metadata: Option<&'a Metadata>,
}

impl<'a> Families<'a> {
    pub(super) fn new(metadata: &'a [(String, Metadata)]) -> Self {
        let mut known = FxHashMap::default();
        for (family, metadata) in metadata {
            known.entry(family.as_str()).or_insert(metadata);
        }
        Self { known }
    }

    pub(super) fn of(&self, metric: &'a str) -> Family<'a> {
        if let Some(metadata) = self.known.get(metric) {
            return Family { name: metric, metadata: Some(metadata) };
        }
        let known = |suffix: &str| {
            let name = metric.strip_suffix(suffix)?;
            Some((name, *self.known.get(name)?))
        };
        for suffix in ["_bucket", "_count", "_sum"] {
            if let Some((name, metadata)) = known(suffix)
                && has_part(metadata.metric_type, suffix)
            {
                return Family { name, metadata: Some(metadata) };
            }
        }
        // OpenMetrics names these families without the suffix; text format 0.0.4 names them with it.
        for (suffix, metric_type) in [("_total", MetricType::Counter), ("_info", MetricType::Info)]
        {
            if let Some((_, metadata)) = known(suffix)
                && metadata.metric_type == metric_type
            {
                return Family { name: metric, metadata: Some(metadata) };
            }
        }
        Family { name: metric, metadata: None }
    }
}

fn has_part(metric_type: MetricType, suffix: &str) -> bool {
    match metric_type {
        MetricType::Histogram | MetricType::GaugeHistogram => true,
        MetricType::Summary => suffix != "_bucket",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_histograms_and_summaries_belong_to_their_family() {
        let said = |metric_type| Metadata { metric_type, ..Metadata::default() };
        let metadata = [
            ("h".to_owned(), said(MetricType::Histogram)),
            ("s".to_owned(), said(MetricType::Summary)),
            ("c".to_owned(), said(MetricType::Counter)),
            ("g".to_owned(), said(MetricType::Gauge)),
            ("g_count".to_owned(), said(MetricType::Counter)),
        ];
        let families = Families::new(&metadata);
        #[track_caller]
        fn check(
            families: &Families<'_>,
            metric: &str,
            name: &str,
            metric_type: Option<MetricType>,
        ) {
            let family = families.of(metric);
            let found = (family.name, family.metadata.map(|metadata| metadata.metric_type));
            assert_eq!(found, (name, metric_type), "{metric}");
        }
        check(&families, "h_bucket", "h", Some(MetricType::Histogram));
        check(&families, "h_sum", "h", Some(MetricType::Histogram));
        check(&families, "s", "s", Some(MetricType::Summary));
        check(&families, "s_count", "s", Some(MetricType::Summary));
        check(&families, "s_bucket", "s_bucket", None);
        check(&families, "c_total", "c_total", Some(MetricType::Counter));
        check(&families, "g_count", "g_count", Some(MetricType::Counter));
        check(&families, "g_sum", "g_sum", None);
        check(&families, "up", "up", None);
    }
}
