//! One of our processes, in this one: a database with receiver, senders and federation.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{Labels, Metadata, Sample, TimeRange, Timestamp};
use prometheus::Registry;
use remote::{Metrics, Senders, federate, receive};
use storage::{Append, Columns, Query, Selection};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tsdb::Db;

pub(crate) struct Node {
    folder: TempDir,
    address: SocketAddr,
    external_labels: Labels,
    registry: Registry,
    db: Arc<Db>,
    senders: Senders,
    server: JoinHandle<()>,
    _external_labels: watch::Sender<Labels>,
}

pub(crate) fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

impl Node {
    pub(crate) async fn start(external_labels: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let labels = external_labels.iter().copied().collect();
        Self::open(tempfile::tempdir().unwrap(), listener, labels)
    }

    fn open(folder: TempDir, listener: TcpListener, external_labels: Labels) -> Self {
        let registry = Registry::new();
        let db_metrics = tsdb::Metrics::register(&registry).unwrap();
        let options = tsdb::Options {
            out_of_order_window: Duration::from_secs(2 * 3600),
            ..tsdb::Options::new(folder.path())
        };
        let db = Db::open(options, db_metrics).unwrap();
        let metrics = Metrics::register(&registry).unwrap();
        let append: Arc<dyn Append> = Arc::<Db>::clone(&db);
        let query: Arc<dyn Query> = Arc::<Db>::clone(&db);
        let (sender, labels) = watch::channel(external_labels.clone());
        let router = receive::router(append, receive::Options::default(), metrics.receive)
            .merge(federate::router(query, labels, federate::Options::default(), metrics.federate));
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let senders = Senders::new(Arc::clone(&db), folder.path(), metrics.send).unwrap();
        let _external_labels = sender;
        Self { folder, address, external_labels, registry, db, senders, server, _external_labels }
    }

    /// Ends it and starts it again, at the same address.
    pub(crate) async fn restart(self) -> Self {
        self.server.abort();
        let _ = self.server.await;
        self.senders.shutdown().await;
        drop(self.senders);
        self.db.close().unwrap();
        // Connections that are still open keep the database a moment longer.
        let mut db = self.db;
        while let Err(still) = Arc::try_unwrap(db).map(drop) {
            db = still;
            tokio::task::yield_now().await;
        }
        let listener = TcpListener::bind(self.address).await.unwrap();
        Self::open(self.folder, listener, self.external_labels)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn send_to(&self, url: &str) {
        self.send(url, "").await;
    }

    /// As [`Node::send_to`], with remote write 2.0 where the other end knows it.
    pub(crate) async fn send_2_0_to(&self, url: &str) {
        self.send(url, "protobuf_message: io.prometheus.write.v2.Request,").await;
    }

    async fn send(&self, url: &str, more: &str) {
        let yaml = format!(
            "[{{url: '{url}', name: parent, {more} metadata_config: {{send_interval: 200ms}},
  queue_config: {{batch_send_deadline: 50ms, max_samples_per_send: 100, max_backoff: 200ms}}}}]"
        );
        let configs: Vec<remote::RemoteWriteConfig> = serde_yaml_ng::from_str(&yaml).unwrap();
        self.senders.apply(&configs, &self.external_labels).await.unwrap();
    }

    /// The same sample for several series.
    pub(crate) fn append(&self, series: &[&[(&str, &str)]], millis: i64, value: f64) {
        let mut batch = self.db.appender();
        for pairs in series {
            let series = batch.series(&pairs.iter().copied().collect(), None).unwrap();
            let timestamp = Timestamp::from_millis(millis);
            batch.sample(series, Sample { timestamp, value }).unwrap();
        }
        assert_eq!(batch.commit().unwrap().samples, series.len() as u64);
    }

    pub(crate) fn describe(&self, family: &str, metadata: &Metadata) {
        let mut batch = self.db.appender();
        batch.metadata(family, metadata).unwrap();
        batch.commit().unwrap();
    }

    pub(crate) fn series(&self, selector: &str) -> Vec<(Labels, Vec<Sample>)> {
        let matchers = promql::parse_selector(selector).unwrap();
        let set = self.db.select(&Selection::new(TimeRange::ALL, matchers)).unwrap();
        let read = |index| {
            let mut columns = Columns::default();
            set.read(index, &mut columns).unwrap();
            (set.labels(index), columns.iter().collect())
        };
        (0..set.len()).map(read).collect()
    }

    pub(crate) fn metadata(&self, family: &str) -> Option<Metadata> {
        let known = self.db.metadata(Some(family)).unwrap();
        known.into_iter().map(|(_, metadata)| metadata).next()
    }

    /// The sum of the series that begin so.
    pub(crate) fn metric(&self, start: &str) -> f64 {
        let families = self.registry.gather();
        let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(start));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}
