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
    #[error("query processing would take more than {max} bytes of memory (--query.max-memory)")]
    TooMuchMemory { max: usize },
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
            Self::TooManySamples | Self::TooMuchMemory { .. } | Self::Execution(_) => "execution",
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
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Limits {
    pub(crate) fn new(
        cancel: Cancel,
        timeout: Duration,
        samples_max: usize,
        bytes_max: usize,
    ) -> Self {
        let deadline = Instant::now().checked_add(timeout);
        Self {
            cancel,
            deadline,
            samples: AtomicUsize::new(0),
            samples_peak: AtomicUsize::new(0),
            samples_max,
            bytes: AtomicUsize::new(0),
            bytes_max,
        }
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

    /// As [`Limits::check`], in loops over what is soon done: every so many of them.
    pub(crate) fn check_now_and_then(&self, index: usize) -> Result<(), EvalError> {
        if index.is_multiple_of(512) { self.check() } else { Ok(()) }
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

    /// Accounts for memory that is about to be taken, or was just taken.
    pub(crate) fn charge_bytes(&self, bytes: usize) -> Result<(), EvalError> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        match before.saturating_add(bytes) > self.bytes_max {
            true => Err(EvalError::TooMuchMemory { max: self.bytes_max }),
            false => Ok(()),
        }
    }

    /// Refuses what would not fit, without accounting for it.
    pub(crate) fn check_room(&self, bytes: usize) -> Result<(), EvalError> {
        match self.bytes.load(Ordering::Relaxed).saturating_add(bytes) > self.bytes_max {
            true => Err(EvalError::TooMuchMemory { max: self.bytes_max }),
            false => Ok(()),
        }
    }

    pub(crate) fn release_bytes(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
