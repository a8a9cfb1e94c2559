//! Requests that are answered by the thread that read them.

use std::sync::Arc;
use std::time::Duration;

use model::{Labels, Matcher, Metadata, TimeRange};
use parking_lot::{Condvar, Mutex};
use storage::{Columns, LabelQuery, Query, QueryError, Selection, SeriesSet};
use tokio::runtime::{Builder, Runtime};

use crate::server::{Server, Setup};

const PATIENCE: Duration = Duration::from_secs(10);

/// A store whose selections wait to be let go. Those of `light` are said to be small, and those of
/// `light_and_free` do not wait either.
#[derive(Clone, Default)]
struct Held(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    is_let_go: bool,
    waiting: usize,
    /// Those that nobody let go in time.
    forgotten: usize,
}

impl Held {
    fn let_go(&self) {
        self.0.0.lock().is_let_go = true;
        self.0.1.notify_all();
    }

    async fn waiting(&self, count: usize) {
        while self.0.0.lock().waiting < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn forgotten(&self) -> usize {
        self.0.0.lock().forgotten
    }
}

impl Query for Held {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet>, QueryError> {
        if selection.matchers[0].value() != "light_and_free" {
            let mut state = self.0.0.lock();
            state.waiting += 1;
            let waited = self.0.1.wait_while_for(&mut state, |state| !state.is_let_go, PATIENCE);
            state.forgotten += usize::from(waited.timed_out());
        }
        Ok(Box::new(Nothing))
    }

    fn series_at_most(&self, matchers: &[Matcher], _: TimeRange) -> Option<u64> {
        matchers[0].value().starts_with("light").then_some(1)
    }

    fn label_names(&self, _: &LabelQuery) -> Result<Vec<String>, QueryError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &LabelQuery) -> Result<Vec<String>, QueryError> {
        Ok(Vec::new())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError> {
        Ok(Vec::new())
    }
}

struct Nothing;

impl SeriesSet for Nothing {
    fn len(&self) -> usize {
        0
    }

    fn labels(&self, _: usize) -> Labels {
        Labels::empty()
    }

    fn read(&self, _: usize, _: &mut Columns) -> Result<(), QueryError> {
        Ok(())
    }
}

fn runtime(async_threads: usize, blocking_threads: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(async_threads).max_blocking_threads(blocking_threads);
    builder.enable_all().build().unwrap()
}

async fn server(held: &Held) -> Server {
    Server::start_with(Setup { query: Some(Arc::new(held.clone())), ..Setup::default() }).await
}

#[test]
fn a_light_query_needs_no_thread_of_its_own() {
    #[track_caller]
    fn check(path: &str) {
        let held = Held::default();
        let runtime = runtime(2, 1); // the blocking thread is taken by the heavy query
        runtime.block_on(async {
            let server = server(&held).await;
            let heavy = server.get("/api/v1/query?query=heavy");
            let light = async {
                held.waiting(1).await;
                assert_eq!(server.get(path).await.status, 200);
                held.let_go();
            };
            assert_eq!(tokio::join!(heavy, light).0.status, 200);
        });
        assert_eq!(held.forgotten(), 0, "{path} waited for the heavy query");
    }
    check("/api/v1/query?query=light_and_free");
    check("/api/v1/query_range?query=sum(light_and_free)&start=0&end=60&step=15");
    check("/api/v1/series?match[]=light_and_free");
}

/// ENDPOINT-4.
#[test]
fn one_async_thread_stays_free_of_light_queries() {
    const THREADS: usize = 3;
    let held = Held::default();
    runtime(THREADS, 16).block_on(async {
        let server = server(&held).await;
        let queries = (0..2 * THREADS).map(|_| server.get("/api/v1/query?query=light"));
        let other = async {
            held.waiting(2 * THREADS).await;
            assert_eq!(server.get("/api/v1/labels").await.status, 200);
            held.let_go();
        };
        tokio::join!(futures_util::future::join_all(queries), other);
    });
    assert_eq!(held.forgotten(), 0, "the other request waited for a light query");
}
