//! Which version of remote write a destination is spoken to in.

use proto::v2;

use super::*;

/// What a destination makes of a 2.0 message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Knows {
    #[default]
    Both,
    /// Refuses the content type.
    Refuses,
    /// Does not look at the content type: it reads an empty 1.0 message.
    ReadsNothing,
}

#[derive(Clone, Default)]
struct Versions {
    knows: Knows,
    /// What it got of 1.0.
    old: Destination,
    new: Arc<Mutex<New>>,
}

#[derive(Default)]
struct New {
    requests: usize,
    headers: HeaderMap,
    bytes: usize,
    /// By the texts of their labels.
    samples: BTreeMap<Vec<String>, Vec<i64>>,
    histograms: usize,
    exemplars: Vec<Vec<String>>,
    helps: Vec<String>,
}

async fn receive(State(versions): State<Versions>, headers: HeaderMap, body: Bytes) -> Response {
    let content_type = headers["content-type"].to_str().unwrap();
    if content_type == "application/x-protobuf" {
        return take(State(versions.old), headers, body).await;
    }
    let mut new = versions.new.lock();
    new.requests += 1;
    new.headers = headers;
    match versions.knows {
        Knows::Both => {}
        Knows::Refuses => return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response(),
        Knows::ReadsNothing => return StatusCode::NO_CONTENT.into_response(),
    }
    new.bytes += body.len();
    let message = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let written = new.store(&v2::Request::decode(&message[..]).unwrap());
    let names = ["Samples", "Histograms", "Exemplars"];
    let mut response = StatusCode::NO_CONTENT.into_response();
    for (name, count) in names.into_iter().zip(written) {
        let name = format!("X-Prometheus-Remote-Write-{name}-Written");
        let name = axum::http::HeaderName::try_from(name).unwrap();
        response.headers_mut().insert(name, count.into());
    }
    response
}

impl New {
    fn store(&mut self, request: &v2::Request) -> [usize; 3] {
        let texts = |refs: &[u32]| -> Vec<String> {
            refs.iter().map(|number| request.symbols[*number as usize].clone()).collect()
        };
        let mut written = [0; 3];
        for series in &request.timeseries {
            let into = self.samples.entry(texts(&series.labels_refs)).or_default();
            into.extend(series.samples.iter().map(|sample| sample.timestamp));
            self.histograms += series.histograms.len();
            self.exemplars.extend(series.exemplars.iter().map(|e| texts(&e.labels_refs)));
            let helps = series.metadata.iter().map(|said| said.help_ref as usize);
            self.helps.extend(helps.map(|help| request.symbols[help].clone()));
            let counts = [series.samples.len(), series.histograms.len(), series.exemplars.len()];
            written.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        written
    }

    fn count(&self) -> usize {
        self.samples.values().map(Vec::len).sum()
    }
}

impl Versions {
    async fn serve(&self) -> SocketAddr {
        serve(Router::new().route("/write", post(receive)).with_state(self.clone())).await
    }
}

const NEW: &str = "protobuf_message: io.prometheus.write.v2.Request
send_native_histograms: true
send_exemplars: true";

#[tokio::test]
async fn with_2_0_all_kinds_arrive() {
    let (mut edge, parent) = (Edge::new(), Versions::default());
    let address = parent.serve().await;
    edge.send_to(address, NEW).await;
    edge.append_all_kinds();
    edge.append(2, 7);
    until("all", || parent.new.lock().count() == 3).await;
    {
        let new = parent.new.lock();
        let labels: Vec<_> = new.samples.keys().map(|texts| texts.join(" ")).collect();
        let expect =
            ["__name__ histograms", "__name__ n i 0", "__name__ n i 1", "__name__ numbers"];
        assert_eq!(labels, expect);
        assert_eq!((new.histograms, new.exemplars.len()), (2, 3));
        for (name, value) in [
            ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", "2.0.0"),
        ] {
            assert_eq!(new.headers[name], value, "{name}");
        }
    }
    until("accounts", || edge.metric("samples_total", "") == 3.0).await;
    assert_eq!(edge.account("histograms", "rejected"), [2.0, 2.0, 0.0]);
    assert_eq!(edge.account("exemplars", "rejected"), [3.0, 3.0, 0.0]);
    edge = edge.restart().await;
    edge.send_to(address, NEW).await;
    edge.append(2, 8);
    until("more", || parent.new.lock().count() == 5).await;
    assert_eq!(parent.old.0.lock().requests, 0);
}

/// CLIENT-2.
#[tokio::test]
async fn who_knows_1_0_only_gets_that_and_misses_nothing() {
    for knows in [Knows::Refuses, Knows::ReadsNothing] {
        let (edge, parent) = (Edge::new(), Versions { knows, ..Versions::default() });
        edge.send_to(parent.serve().await, NEW).await;
        for round in 0..10 {
            edge.append(7, round * 100);
        }
        until(&format!("all, if it {knows:?}"), || parent.old.count() == 70).await;
        assert!(parent.old.samples().values().all(|times| times.is_sorted()), "{knows:?}");
        let asked = parent.new.lock().requests;
        edge.append(7, 5000);
        until("more", || parent.old.count() == 77).await;
        assert_eq!(parent.new.lock().requests, asked, "{knows:?}: it is not tried again");
        until("accounts", || edge.metric("samples_total", "") == 77.0).await;
        assert_eq!(edge.metric("samples_dropped_total", ""), 0.0);
    }
}

#[tokio::test]
async fn with_2_0_metrics_are_described_now_and_then() {
    let (edge, parent) = (Edge::new(), Versions::default());
    let config = config(parent.serve().await, NEW);
    let every = "url: http://x/\nmetadata_config: {send_interval: 200ms}";
    let described: RemoteWriteConfig = serde_yaml_ng::from_str(every).unwrap();
    let config = RemoteWriteConfig { metadata: described.metadata, ..config };
    edge.senders.apply(&[config], &Labels::empty()).await.unwrap();
    let mut batch = edge.db.appender();
    let metadata = Metadata { help: "Help.".into(), ..Metadata::default() };
    batch.metadata("n", &metadata).unwrap();
    batch.commit().unwrap();
    let mut millis = 0;
    until("described twice", || {
        millis += 1;
        edge.append(3, millis);
        parent.new.lock().helps.len() >= 2
    })
    .await;
    let new = parent.new.lock();
    assert!(new.helps.iter().all(|help| help == "Help."));
    assert!(new.requests > new.helps.len() && new.count() > 10 * new.helps.len());
}
