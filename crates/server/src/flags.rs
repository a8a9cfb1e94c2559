//! The command line: the flags that Prometheus' users know, under the same names where the thing
//! exists there.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::Tier;
use crate::logging::{LogFormat, LogLevel};

/// A valid command line.
#[derive(Clone, Debug)]
pub(crate) struct Flags {
    /// Without one, the server runs on an empty configuration.
    pub config_file: Option<PathBuf>,
    pub storage: StorageFlags,
    pub web: WebFlags,
    pub query: QueryFlags,
    pub rules: RuleFlags,
    pub notification_queue_alerts: usize,
    pub log_level: LogLevel,
    pub log_format: LogFormat,
    /// Every flag with the value it has, as `/api/v1/status/flags` shows them.
    pub effective: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct StorageFlags {
    pub path: PathBuf,
    pub retention: Duration,
    /// Exemplars in memory, where the configuration does not say.
    pub exemplars_max: usize,
    /// Time between two `fsync`s of the log; zero: before every acknowledgement.
    pub wal_sync: Duration,
    pub wal_compression: tsdb::Compression,
}

#[derive(Clone, Debug)]
pub(crate) struct WebFlags {
    pub listen_address: SocketAddr,
    pub external_url: String,
    pub enable_lifecycle: bool,
    pub cors_origin: String,
    pub max_connections: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryFlags {
    pub lookback: Duration,
    pub timeout: Duration,
    pub max_samples: usize,
    pub max_concurrency: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleFlags {
    pub outage_tolerance: Duration,
    pub grace_period: Duration,
    pub resend_delay: Duration,
}

/// One flag: its name, the name it also answers to, its default and its help.
struct Flag {
    name: &'static str,
    alias: Option<&'static str>,
    default: Option<&'static str>,
    help: &'static str,
}

const fn flag(name: &'static str, default: &'static str, help: &'static str) -> Flag {
    Flag { name, alias: None, default: Some(default), help }
}

const CONFIG_FILE: &str = "config.file";
const LISTEN_ADDRESS: &str = "web.listen-address";
const WAL_COMPRESSION: &str = "storage.wal-compression-type";
const EXTERNAL_URL: &str = "web.external-url";
const ENABLE_LIFECYCLE: &str = "web.enable-lifecycle";

const VALUES: &[Flag] = &[
    Flag {
        name: CONFIG_FILE,
        alias: None,
        default: None,
        help: "Configuration file, in Prometheus' format",
    },
    Flag {
        name: "storage.path",
        alias: Some("storage.tsdb.path"),
        default: Some("data"),
        help: "Data directory",
    },
    Flag {
        name: "storage.retention",
        alias: Some("storage.tsdb.retention.time"),
        default: Some("15d"),
        help: "How long samples are kept, counted from the newest one",
    },
    flag("storage.exemplars.max", "100000", "Exemplars to keep, the newest ones; 0: none"),
    flag("storage.wal-sync", "1s", "Time between two fsyncs of the log; 0: before every answer"),
    Flag {
        name: WAL_COMPRESSION,
        alias: Some("storage.tsdb.wal-compression-type"),
        default: Some("snappy"),
        help: "What the log is compressed with: none, snappy or zstd",
    },
    Flag {
        name: EXTERNAL_URL,
        alias: None,
        default: None,
        help: "URL under which users reach this server, for links in alerts",
    },
    flag("web.cors.origin", ".*", "Regex of the origins that may read answers in a browser"),
    flag("web.max-connections", "512", "Largest number of connections at a time"),
    flag("query.lookback-delta", "5m", "How long a sample stands for its series"),
    flag("query.timeout", "2m", "Longest time a query may take"),
    flag("query.max-samples", "50000000", "Largest number of samples a query may hold in memory"),
    flag("query.max-concurrency", "20", "Largest number of queries at a time"),
    flag("rules.alert.for-outage-tolerance", "1h", "Longest outage after which `for` goes on"),
    flag("rules.alert.for-grace-period", "10m", "Shortest `for` whose state is restored"),
    flag("rules.alert.resend-delay", "1m", "Time before a firing alert is sent again"),
    flag("alertmanager.notification-queue-capacity", "10000", "Alerts waiting to be sent"),
    flag("log.level", "info", "debug, info, warn or error"),
    flag("log.format", "logfmt", "logfmt or json"),
];

impl Flags {
    /// Parses the process' own command line; prints help, version or the error and exits where the
    /// command line asks for it or is wrong.
    pub(crate) fn from_command_line(tier: &Tier) -> anyhow::Result<Self> {
        Self::try_from_matches(&command(tier).get_matches())
    }

    #[cfg(test)]
    fn parse(tier: &Tier, arguments: &[&str]) -> anyhow::Result<Self> {
        let program = std::iter::once(&tier.program);
        let matches = command(tier).try_get_matches_from(program.chain(arguments))?;
        Self::try_from_matches(&matches)
    }

    fn try_from_matches(matches: &ArgMatches) -> anyhow::Result<Self> {
        let raw = Raw { matches };
        let listen_address = raw.address(LISTEN_ADDRESS)?;
        let external_url = match raw.optional(EXTERNAL_URL) {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{listen_address}"),
        };
        Ok(Self {
            config_file: raw.optional(CONFIG_FILE).map(PathBuf::from),
            storage: StorageFlags {
                path: PathBuf::from(raw.text("storage.path")),
                retention: raw.duration("storage.retention")?,
                exemplars_max: raw.number("storage.exemplars.max")?,
                wal_sync: raw.duration("storage.wal-sync")?,
                wal_compression: raw.compression(WAL_COMPRESSION)?,
            },
            web: WebFlags {
                listen_address,
                external_url,
                enable_lifecycle: matches.get_flag(ENABLE_LIFECYCLE),
                cors_origin: raw.text("web.cors.origin").to_owned(),
                max_connections: raw.count("web.max-connections")?,
            },
            query: QueryFlags {
                lookback: raw.duration("query.lookback-delta")?,
                timeout: raw.duration("query.timeout")?,
                max_samples: raw.count("query.max-samples")?,
                max_concurrency: raw.count("query.max-concurrency")?,
            },
            rules: RuleFlags {
                outage_tolerance: raw.duration("rules.alert.for-outage-tolerance")?,
                grace_period: raw.duration("rules.alert.for-grace-period")?,
                resend_delay: raw.duration("rules.alert.resend-delay")?,
            },
            notification_queue_alerts: raw.count("alertmanager.notification-queue-capacity")?,
            log_level: raw.text("log.level").parse().context("--log.level")?,
            log_format: raw.text("log.format").parse().context("--log.format")?,
            effective: raw.effective(),
        })
    }
}

fn command(tier: &Tier) -> Command {
    let listen_address = Arg::new(LISTEN_ADDRESS)
        .long(LISTEN_ADDRESS)
        .default_value(tier.listen_address)
        .help("Address to listen on");
    let enable_lifecycle = Arg::new(ENABLE_LIFECYCLE)
        .long(ENABLE_LIFECYCLE)
        .action(ArgAction::SetTrue)
        .help("Allow reload and shutdown over HTTP");
    Command::new(tier.program)
        .about(tier.about)
        .version(tier.version)
        .args([listen_address, enable_lifecycle])
        .args(VALUES.iter().map(|flag| {
            Arg::new(flag.name)
                .long(flag.name)
                .visible_aliases(flag.alias)
                .default_values(flag.default)
                .help(flag.help)
        }))
}

/// Reads flags by name; a bad value's error names its flag.
struct Raw<'a> {
    matches: &'a ArgMatches,
}

impl<'a> Raw<'a> {
    fn optional(&self, name: &str) -> Option<&'a str> {
        self.matches.get_one::<String>(name).map(String::as_str)
    }

    fn text(&self, name: &str) -> &'a str {
        self.optional(name).expect("the flag has a default value")
    }

    fn duration(&self, name: &str) -> anyhow::Result<Duration> {
        model::duration::parse(self.text(name)).with_context(|| format!("--{name}"))
    }

    fn count(&self, name: &str) -> anyhow::Result<usize> {
        match self.number(name)? {
            0 => bail!("--{name}: must be at least 1"),
            count => Ok(count),
        }
    }

    fn compression(&self, name: &str) -> anyhow::Result<tsdb::Compression> {
        match self.text(name) {
            "none" => Ok(tsdb::Compression::None),
            "snappy" => Ok(tsdb::Compression::Snappy),
            "zstd" => Ok(tsdb::Compression::Zstd),
            other => bail!("--{name}: want none, snappy or zstd, not {other:?}"),
        }
    }

    fn number(&self, name: &str) -> anyhow::Result<usize> {
        let text = self.text(name);
        text.parse().ok().with_context(|| format!("--{name}: not a whole number: {text:?}"))
    }

    fn address(&self, name: &str) -> anyhow::Result<SocketAddr> {
        let text = self.text(name);
        // Prometheus takes ":9090" for "every address of this machine".
        let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
        let mut addresses = full.to_socket_addrs().with_context(|| format!("--{name}: {text}"))?;
        addresses.next().with_context(|| format!("--{name}: {text} has no address"))
    }

    fn effective(&self) -> BTreeMap<String, String> {
        let names = VALUES.iter().map(|flag| flag.name).chain([LISTEN_ADDRESS]);
        let mut effective: BTreeMap<String, String> = names
            .map(|name| (name.to_owned(), self.optional(name).unwrap_or_default().to_owned()))
            .collect();
        let lifecycle = self.matches.get_flag(ENABLE_LIFECYCLE).to_string();
        effective.insert(ENABLE_LIFECYCLE.to_owned(), lifecycle);
        effective
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIER: Tier = Tier {
        program: "watershed-test",
        about: "",
        version: "0",
        listen_address: "127.0.0.1:9301",
        out_of_order_window: Duration::ZERO,
    };

    #[test]
    fn a_server_runs_without_any_flag() {
        let flags = Flags::parse(&TIER, &[]).unwrap();
        assert_eq!(flags.config_file, None);
        assert_eq!(flags.web.listen_address.to_string(), "127.0.0.1:9301");
        assert_eq!(flags.web.external_url, "http://127.0.0.1:9301");
        assert_eq!(flags.storage.retention, Duration::from_secs(15 * 86_400));
        assert_eq!(flags.storage.exemplars_max, 100_000);
        assert_eq!(flags.effective["query.timeout"], "2m");
        assert_eq!(flags.effective["web.enable-lifecycle"], "false");
    }

    #[test]
    fn flags_answer_to_the_names_that_prometheus_users_know() {
        let flags = Flags::parse(
            &TIER,
            &[
                "--storage.tsdb.path=/x",
                "--storage.tsdb.retention.time=2h",
                "--storage.tsdb.wal-compression-type=zstd",
                "--storage.exemplars.max=0",
                "--web.listen-address=:9999",
                "--web.enable-lifecycle",
                "--web.external-url=http://central/",
            ],
        )
        .unwrap();
        assert_eq!(flags.storage.path, PathBuf::from("/x"));
        assert_eq!(flags.storage.retention, Duration::from_secs(7200));
        assert_eq!(flags.storage.wal_compression, tsdb::Compression::Zstd);
        assert_eq!(flags.storage.exemplars_max, 0);
        assert_eq!(flags.web.listen_address.to_string(), "0.0.0.0:9999");
        assert_eq!(flags.web.external_url, "http://central");
        assert!(flags.web.enable_lifecycle);
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_its_flag() {
        #[track_caller]
        fn check(argument: &str, expect: &str) {
            let error = Flags::parse(&TIER, &[argument]).unwrap_err();
            assert!(format!("{error:#}").contains(expect), "{argument}: {error:#}");
        }
        check("--query.timeout=soon", "--query.timeout: not a valid duration string: \"soon\"");
        check("--query.max-samples=-1", "--query.max-samples: not a whole number: \"-1\"");
        check("--storage.exemplars.max=-1", "--storage.exemplars.max: not a whole number: \"-1\"");
        check("--query.max-concurrency=0", "--query.max-concurrency: must be at least 1");
        check(
            "--storage.wal-compression-type=gzip",
            "--storage.wal-compression-type: want none, snappy or zstd, not \"gzip\"",
        );
        check("--log.level=loud", "--log.level: ");
        check("--web.listen-address=nowhere", "--web.listen-address: nowhere");
        check("--no.such.flag=1", "unexpected argument '--no.such.flag'");
    }
}
