//! What ends a query before its time, and the errors that then come of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use storage::QueryError;

/// Why a query has no answer. The texts are Prometheus'.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error("query timed out in expression evaluation")]
    Timeout,
    #[error("query was canceled in expression evaluation")]
    Canceled,
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// The expression cannot be evaluated on this data.
    #[error("{0}")]
    Execution(String),
    /// The question itself is wrong.
    #[error("{0}")]
    BadData(String),
    #[error("expanding series: {0}")]
    Storage(#[from] QueryError),
}

impl EvalError {
    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }

    /// The `errorType` of the HTTP API.
    pub const fn error_type(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::TooManySamples | Self::Execution(_) => "execution",
            Self::BadData(_) => "bad_data",
            Self::Storage(_) => "internal",
        }
    }
}

/// Tells a running query to stop. Clones are one switch.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The bounds of one query, shared by its threads.
#[derive(Debug)]
pub(crate) struct Limits {
    cancel: Cancel,
    deadline: Option<Instant>,
    samples: AtomicUsize,
    samples_peak: AtomicUsize,
    samples_max: usize,
}

impl Limits {
    pub(crate) fn new(cancel: Cancel, timeout: Duration, samples_max: usize) -> Self {
        let deadline = Instant::now().checked_add(timeout);
        let (samples, samples_peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { cancel, deadline, samples, samples_peak, samples_max }
    }

    /// To be asked between series, and now and then inside long loops.
    pub(crate) fn check(&self) -> Result<(), EvalError> {
        if self.cancel.is_canceled() {
            return Err(EvalError::Canceled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(EvalError::Timeout),
            _ => Ok(()),
        }
    }

    /// Accounts for samples that come into memory.
    pub(crate) fn charge(&self, samples: usize) -> Result<(), EvalError> {
        let before = self.samples.fetch_add(samples, Ordering::Relaxed);
        let now = before.saturating_add(samples);
        if now > self.samples_max {
            return Err(EvalError::TooManySamples);
        }
        if now > self.samples_peak.load(Ordering::Relaxed) {
            self.samples_peak.fetch_max(now, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The most samples that were in memory at one time.
    pub(crate) fn samples_peak(&self) -> usize {
        self.samples_peak.load(Ordering::Relaxed)
    }

    /// Accounts for samples that have left it.
    pub(crate) fn release(&self, samples: usize) {
        self.samples.fetch_sub(samples, Ordering::Relaxed);
    }
}
