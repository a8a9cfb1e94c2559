//! The process' log: lower-case messages with structured fields, to standard error.

use std::io;
use std::str::FromStr;

use anyhow::bail;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::prelude::*;

#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLevel(Level);

#[derive(Clone, Copy, Debug)]
pub(crate) enum LogFormat {
    Logfmt,
    Json,
}

impl Default for LogLevel {
    fn default() -> Self {
        Self(Level::INFO)
    }
}

impl FromStr for LogLevel {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        Ok(Self(match text {
            "debug" => Level::DEBUG,
            "info" => Level::INFO,
            "warn" => Level::WARN,
            "error" => Level::ERROR,
            _ => bail!("{text:?} is none of debug, info, warn, error"),
        }))
    }
}

impl FromStr for LogFormat {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => bail!("{text:?} is none of logfmt, json"),
        }
    }
}

/// Sends every event from here on to standard error. Call once.
pub(crate) fn start(LogLevel(level): LogLevel, format: LogFormat) {
    let level = LevelFilter::from_level(level);
    let registry = tracing_subscriber::registry();
    match format {
        LogFormat::Logfmt => {
            let layer = tracing_logfmt::builder().with_target(false).layer();
            registry.with(layer.with_writer(io::stderr).with_filter(level)).init();
        }
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true);
            registry.with(layer.with_writer(io::stderr).with_filter(level)).init();
        }
    }
}
