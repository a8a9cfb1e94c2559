//! Why a scrape failed: what `lastError` shows.

use std::io;

use exposition::ParseError;
use storage::AppendError;

#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    #[error("Get {url:?}: context deadline exceeded")]
    Timeout { url: String },
    #[error("Get {url:?}: {reason}")]
    Http { url: String, reason: client::Error },
    #[error("server returned HTTP status {0}")]
    Status(String),
    #[error("unsupported Content-Encoding {0:?}")]
    Encoding(String),
    #[error(
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
    )]
    NoContentType,
    #[error(
        "received unsupported Content-Type {0:?} and no fallback_scrape_protocol specified for target"
    )]
    ContentType(String),
    #[error("body size limit exceeded (limit: {limit} bytes)")]
    BodySize { limit: u64 },
    #[error("decompress the body: {0}")]
    Gzip(io::Error),
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error("missing metric name (__name__ label)")]
    NoMetricName,
    #[error("sample limit exceeded (number of samples: {samples}, limit: {limit})")]
    SampleLimit { samples: u64, limit: u64 },
    #[error(
        "label_limit exceeded (metric: {metric:.50}, number of labels: {labels}, limit: {limit})"
    )]
    LabelLimit { metric: String, labels: u64, limit: u64 },
    #[error(
        "label_name_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, length: \
         {length}, limit: {limit})"
    )]
    LabelNameLength { metric: String, name: String, length: u64, limit: u64 },
    #[error(
        "label_value_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, length: \
         {length}, limit: {limit})"
    )]
    LabelValueLength { metric: String, name: String, length: u64, limit: u64 },
    #[error("target_limit exceeded (number of targets: {targets}, limit: {limit})")]
    TargetLimit { targets: usize, limit: u64 },
    #[error("append: {0}")]
    Append(#[from] AppendError),
}
