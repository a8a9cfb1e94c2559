//! The targets of one job, and their loops.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::HttpClient;
use discovery::TargetGroup;
use model::{Labels, duration};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::{Host, Url};

use crate::job::Job;
use crate::scrape_loop::{Course, Orders, ScrapeLoop, Shared, State};
use crate::sources::Sources;
use crate::status::{ActiveTarget, DroppedTarget, label_map};
use crate::target::Target;

/// How Go writes a time that was never set.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(crate) struct Pool {
    job: Arc<Job>,
    client: Arc<HttpClient>,
    running: BTreeMap<TargetKey, Running>,
    sources: Sources,
    /// The configuration has the job no more.
    gone: bool,
}

/// Two targets with the same URL and the same labels are one. Sorts as a status page lists them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TargetKey {
    url: Url,
    labels: Labels,
}

struct Running {
    target: Arc<Target>,
    orders: watch::Sender<Orders>,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(shared: &Arc<Shared>, orders: Orders) -> Self {
        let target = Arc::clone(&orders.target);
        let state = Arc::new(Mutex::new(State::default()));
        let (orders, receiver) = watch::channel(orders);
        let scrape_loop = ScrapeLoop::new(Arc::clone(shared), receiver, Arc::clone(&state));
        Self { target, orders, state, task: tokio::spawn(scrape_loop.run()) }
    }

    fn course(&self) -> Course {
        self.orders.borrow().course
    }

    /// False if the loop has ended and takes no orders.
    fn order(&mut self, orders: Orders) -> bool {
        let state = self.state.lock(); // held, so that the loop cannot end between the two
        if state.ended {
            return false;
        }
        self.target = Arc::clone(&orders.target);
        self.orders.send_if_modified(|running| {
            let changes = !running.says_the_same_as(&orders);
            *running = orders;
            changes
        });
        true
    }

    fn change_course(&self, course: Course) {
        self.orders.send_modify(|orders| orders.course = course);
    }
}

impl Pool {
    pub(crate) fn new(job: Arc<Job>) -> Self {
        let client = Arc::new(HttpClient::new(job.config.http.clone()));
        let mut sources = Sources::default();
        sources.remake(&job);
        Self { job, client, running: BTreeMap::new(), sources, gone: false }
    }

    /// Makes the loops those of `job`'s targets; the ones that run already go on without a gap.
    pub(crate) fn apply(&mut self, job: Arc<Job>, shared: &Arc<Shared>) {
        if self.job.config.http != job.config.http {
            self.client = Arc::new(HttpClient::new(job.config.http.clone()));
        }
        self.gone = false;
        if *self.job != *job {
            self.job = job;
            self.sources.remake(&self.job);
        }
        self.follow_sources(shared);
    }

    /// Makes the loops those of what discovery has found, and of what the configuration lists.
    pub(crate) fn find(&mut self, found: Vec<Arc<TargetGroup>>, shared: &Arc<Shared>) {
        if self.gone {
            return; // discovery was told later than we
        }
        self.sources.find(&self.job, found);
        self.follow_sources(shared);
    }

    fn follow_sources(&mut self, shared: &Arc<Shared>) {
        let key =
            |target: &Target| TargetKey { url: target.url.clone(), labels: target.labels.clone() };
        let targets: BTreeMap<TargetKey, Arc<Target>> =
            self.sources.targets().map(|target| (key(target), Arc::clone(target))).collect();
        let limit = self.job.limits.targets.unwrap_or(u64::MAX);
        let targets_above_limit = Some(targets.len()).filter(|count| *count as u64 > limit);

        self.forget_ended();
        for (key, running) in &self.running {
            if !targets.contains_key(key) && running.course() == Course::Scrape {
                running.change_course(Course::Leave);
            }
        }
        for (key, target) in targets {
            let orders = Orders {
                job: Arc::clone(&self.job),
                client: Arc::clone(&self.client),
                target,
                targets_above_limit,
                course: Course::Scrape,
            };
            let follows =
                self.running.get_mut(&key).is_some_and(|running| running.order(orders.clone()));
            if !follows {
                self.running.insert(key, Running::start(shared, orders));
            }
        }
    }

    /// The job has gone, and all its targets with it.
    pub(crate) fn leave(&mut self) {
        for running in self.running.values() {
            if running.course() == Course::Scrape {
                running.change_course(Course::Leave);
            }
        }
        self.gone = true;
        self.sources = Sources::default();
        self.forget_ended();
    }

    /// Tells all loops to stop; gives what to wait for.
    pub(crate) fn stop(self) -> Vec<JoinHandle<()>> {
        let stop = |running: Running| {
            running.change_course(Course::Stop);
            running.task
        };
        self.running.into_values().map(stop).collect()
    }

    /// No loop is left, not even one that is leaving.
    pub(crate) fn is_over(&self) -> bool {
        self.running.is_empty()
    }

    pub(crate) fn active_count(&self) -> usize {
        self.active().count()
    }

    pub(crate) fn dropped_count(&self) -> usize {
        self.sources.dropped_count()
    }

    pub(crate) fn active_status(&self, external_host: &str) -> impl Iterator<Item = ActiveTarget> {
        self.active().map(|running| active_status(&self.job, running, external_host))
    }

    pub(crate) fn dropped_status(&self) -> impl Iterator<Item = DroppedTarget> {
        let kept = self.job.limits.kept_dropped_targets.unwrap_or(u64::MAX);
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        self.sources.dropped(&self.job).take(kept).map(|discovered| DroppedTarget {
            discovered_labels: label_map(&discovered),
            scrape_pool: self.job.name().to_owned(),
        })
    }

    fn active(&self) -> impl Iterator<Item = &Running> {
        self.running.values().filter(|running| running.course() == Course::Scrape)
    }

    fn forget_ended(&mut self) {
        self.running.retain(|_, running| !running.state.lock().ended);
    }
}

fn active_status(job: &Job, running: &Running, external_host: &str) -> ActiveTarget {
    let target = &running.target;
    let state = running.state.lock();
    let last_scrape = state.last_scrape.and_then(|time| {
        Some(jiff::Timestamp::from_millisecond(time.as_millis()).ok()?.to_string())
    });
    ActiveTarget {
        discovered_labels: label_map(&target.discovered(job)),
        labels: label_map(&target.labels),
        scrape_pool: job.name().to_owned(),
        scrape_url: target.url.to_string(),
        global_url: global_url(&target.url, external_host).to_string(),
        last_error: state.last_error.clone(),
        last_scrape: last_scrape.unwrap_or_else(|| NEVER.to_owned()),
        last_scrape_duration: state.last_duration.as_secs_f64(),
        health: state.health,
        scrape_interval: duration::format(target.interval),
        scrape_timeout: duration::format(target.timeout),
    }
}

/// A target that only this machine can reach by its URL is shown under the machine's name.
fn global_url(url: &Url, external_host: &str) -> Url {
    let mut global = url.clone();
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if loopback && global.set_host(Some(external_host)).is_err() {
        return url.clone(); // the machine's name does not fit into a URL
    }
    global
}
