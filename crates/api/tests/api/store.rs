//! Series, and a database that holds them.

use std::sync::Arc;

use model::{Exemplar, Labels, METRIC_NAME, Metadata, Sample};
use storage::Append as _;
use tempfile::TempDir;

use crate::fixture;

pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<Sample>,
    pub(crate) exemplars: Vec<Exemplar>,
}

/// A database that goes with its directory.
pub(crate) struct Store {
    pub(crate) db: Arc<tsdb::Db>,
    pub(crate) directory: TempDir,
}

impl Store {
    pub(crate) fn holding(series: &[Series], metadata: &[(&str, Metadata)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let metrics = tsdb::Metrics::register(&prometheus::Registry::new()).unwrap();
        let db = tsdb::Db::open(tsdb::Options::new(directory.path()), metrics).unwrap();
        let mut batch = db.appender();
        for Series { labels, samples, exemplars } in series {
            let series = batch.series(labels, None).unwrap();
            samples.iter().for_each(|sample| batch.sample(series, *sample).unwrap());
            exemplars.iter().for_each(|one| batch.exemplar(series, one.clone()).unwrap());
        }
        for (family, metadata) in metadata {
            batch.metadata(family, metadata).unwrap();
        }
        let appended = batch.commit().unwrap();
        assert_eq!((appended.rejected, appended.exemplars_dropped), (Vec::new(), Vec::new()));
        Self { db, directory }
    }

    /// `count` series called `name`, with one sample each at the start of the fixture.
    pub(crate) fn of_many(name: &str, count: usize) -> Self {
        let series = (0..count).map(|index| {
            let number = format!("{index:06}");
            let labels = [(METRIC_NAME, name), ("n", &number)].into_iter().collect();
            let sample = Sample { timestamp: fixture::START, value: index as f64 };
            Series { labels, samples: vec![sample], exemplars: Vec::new() }
        });
        Self::holding(&series.collect::<Vec<_>>(), &[])
    }
}
