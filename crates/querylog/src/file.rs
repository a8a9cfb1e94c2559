//! `query_log_file`: a line of JSON for every query.
//!
//! ```text
//! {"params":{"end":"2020-02-08T14:59:50.368Z","query":"up","start":"…","step":5},
//!  "error":"…", "stats":{…}, "httpRequest":{"clientIP":"…","method":"GET","path":"/api/v1/query_range"},
//!  "ts":"2020-02-08T14:59:50.872Z"}
//! ```
//! Source: Prometheus `promql/engine.go` (`exec`), `docs/guides/query-log.md`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use model::Timestamp;
use parking_lot::Mutex;
use promql::{EvalError, Measured};
use serde::Serialize;

use crate::{Origin, Query, Stats, time_text};

/// An open log. Opened anew at every reload, so that it can be moved away.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: Mutex<File>,
    /// Since the last line that could be written.
    is_failing: AtomicBool,
}

impl LogFile {
    /// Opens `path` to append to it; makes the file if there is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
            is_failing: AtomicBool::default(),
        })
    }

    pub(crate) fn write(
        &self,
        query: &Query<'_>,
        measured: &Measured,
        error: Option<&EvalError>,
        now: Timestamp,
    ) {
        let line = Line {
            params: Params {
                end: time_text(query.end),
                query: query.text,
                start: time_text(query.start),
                step: query.step.as_secs(),
            },
            error: error.map(ToString::to_string),
            stats: Stats::new(measured, query.queued, false),
            origin: query.origin,
            ts: time_text(now),
        };
        let mut text = serde_json::to_vec(&line).expect("texts and numbers are JSON");
        text.push(b'\n');
        let written = self.file.lock().write_all(&text);
        let was_failing = self.is_failing.swap(written.is_err(), Ordering::Relaxed);
        if let Err(error) = written
            && !was_failing
        {
            tracing::error!(file = %self.path.display(), %error, "queries are not logged");
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    params: Params<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    stats: Stats,
    #[serde(flatten)]
    origin: Origin<'a>,
    ts: String,
}

#[derive(Serialize)]
struct Params<'a> {
    end: String,
    query: &'a str,
    start: String,
    /// In seconds.
    step: u64,
}
