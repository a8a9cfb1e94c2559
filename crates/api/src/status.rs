//! What the API tells about the process around it, and what the process provides for that.

use std::collections::BTreeMap;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The parts of the process that the API reports on but does not know. Implemented by the server.
///
/// Values are the `data` of Prometheus' answers, whole: the API applies the request's filters.
/// Called on blocking threads.
pub trait Status: Send + Sync {
    /// `{"activeTargets": […], "droppedTargets": […], "droppedTargetCounts": {…}}`
    fn targets(&self) -> Value;
    /// `{"groups": [{"name": …, "file": …, "rules": […], …}]}`
    fn rules(&self) -> Value;
    /// `{"alerts": […]}`
    fn alerts(&self) -> Value;
    /// `{"activeAlertmanagers": [{"url": …}], "droppedAlertmanagers": […]}`
    fn alertmanagers(&self) -> Value;
    /// The configuration that runs now, as YAML.
    fn config(&self) -> String;
    /// Flags by name, without dashes.
    fn flags(&self) -> BTreeMap<String, String>;
    fn runtime_info(&self) -> RuntimeInfo;
    /// The head's size, and the `limit` largest entries of each table.
    fn tsdb(&self, limit: usize) -> TsdbStatus;
}

/// `/api/v1/status/buildinfo`. Grafana takes a server whose build info has `features` for Mimir, so
/// there is no such field.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    pub version: String,
    pub revision: String,
    pub branch: String,
    pub build_user: String,
    pub build_date: String,
    /// Here: the Rust version.
    pub go_version: String,
}

/// `/api/v1/status/runtimeinfo`. Times are RFC 3339. The names are Prometheus', those of things that
/// only a Go program has included; these say what comes nearest to them here.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeInfo {
    pub start_time: String,
    #[serde(rename = "CWD")]
    pub cwd: String,
    pub hostname: String,
    pub server_time: String,
    pub reload_config_success: bool,
    pub last_config_time: String,
    pub corruption_count: u64,
    /// Threads.
    pub goroutine_count: u64,
    /// Threads that run at once.
    #[serde(rename = "GOMAXPROCS")]
    pub gomaxprocs: u64,
    #[serde(rename = "GOMEMLIMIT")]
    pub gomemlimit: u64,
    #[serde(rename = "GOGC")]
    pub gogc: String,
    #[serde(rename = "GODEBUG")]
    pub godebug: String,
    pub storage_retention: String,
}

/// `/api/v1/status/tsdb`. The tables are sorted by value, largest first.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TsdbStatus {
    pub head_stats: HeadStats,
    pub series_count_by_metric_name: Table,
    pub label_value_count_by_label_name: Table,
    pub memory_in_bytes_by_label_name: Table,
    pub series_count_by_label_value_pair: Table,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadStats {
    pub num_series: u64,
    pub num_label_pairs: u64,
    pub chunk_count: u64,
    /// Milliseconds.
    pub min_time: i64,
    pub max_time: i64,
}

/// Names and their counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(pub Vec<(String, u64)>);

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            name: &'a str,
            value: u64,
        }
        let mut rows = to.serialize_seq(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            rows.serialize_element(&Row { name, value: *value })?;
        }
        rows.end()
    }
}
