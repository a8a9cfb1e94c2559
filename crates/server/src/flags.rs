//! The command line: the flags that Prometheus' users know, under the same names where the thing
//! exists there.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};
use promql::EngineOptions;

use crate::Tier;
use crate::logging::{LogFormat, LogLevel};

/// A valid command line.
#[derive(Clone, Debug)]
pub(crate) struct Flags {
    /// Without one, the server runs on an empty configuration.
    pub config_file: Option<PathBuf>,
    /// How often to look whether the configuration has changed.
    pub auto_reload: Option<Duration>,
    /// Of `--enable-feature`. They are no error, for Prometheus has more features than we have.
    pub unknown_features: Vec<String>,
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
    /// How long samples are kept; `None`: as long as there is room.
    pub retention: Option<Duration>,
    /// What blocks and log may take on disk; `None`: no limit.
    pub retention_bytes: Option<u64>,
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
    pub enable_admin_api: bool,
    pub cors_origin: String,
    pub max_connections: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct QueryFlags {
    pub lookback: Duration,
    pub timeout: Duration,
    pub max_samples: usize,
    /// Bytes; `None`: a share of what there is.
    pub max_memory: Option<usize>,
    pub max_concurrency: usize,
    /// Queries that take so long are told to the log; zero: none.
    pub slow: Duration,
    /// With what `--enable-feature` switches on; all else is as by default.
    pub options: EngineOptions,
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
const AUTO_RELOAD_INTERVAL: &str = "config.auto-reload-interval";
const ENABLE_FEATURE: &str = "enable-feature";
const AUTO_RELOAD: &str = "auto-reload-config";
const LISTEN_ADDRESS: &str = "web.listen-address";
const WAL_COMPRESSION: &str = "storage.wal-compression-type";
const EXTERNAL_URL: &str = "web.external-url";
pub(crate) const RETENTION_SIZE: &str = "storage.retention-size";
const ENABLE_LIFECYCLE: &str = "web.enable-lifecycle";
const ENABLE_ADMIN_API: &str = "web.enable-admin-api";

/// Where neither the time nor the size that is kept is limited by a flag.
const RETENTION: Duration = Duration::from_secs(15 * 24 * 3600);

const VALUES: &[Flag] = &[
    Flag {
        name: CONFIG_FILE,
        alias: None,
        default: None,
        help: "Configuration file, in Prometheus' format",
    },
    flag(
        AUTO_RELOAD_INTERVAL,
        "30s",
        "How often to look whether the configuration has changed, with \
         --enable-feature=auto-reload-config",
    ),
    Flag {
        name: "storage.path",
        alias: Some("storage.tsdb.path"),
        default: Some("data"),
        help: "Data directory",
    },
    Flag {
        name: "storage.retention",
        alias: Some("storage.tsdb.retention.time"),
        default: Some("0s"),
        help: "How long samples are kept, counted from the newest one; 0: for 15d, or, where the \
               size is limited, as long as there is room",
    },
    flag("storage.exemplars.max", "100000", "Exemplars to keep, the newest ones; 0: none"),
    Flag {
        name: RETENTION_SIZE,
        alias: Some("storage.tsdb.retention.size"),
        default: Some("0B"),
        help: "Bytes that blocks and log may take on disk, such as 512MB or 10GB; 0: no limit",
    },
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
    flag(
        "query.max-memory",
        "0B",
        "Bytes of memory that a query may take, such as 512MB; 0: a quarter of what there is",
    ),
    flag("query.max-concurrency", "20", "Largest number of queries at a time"),
    flag(
        "query.slow-log-threshold",
        "10s",
        "Shortest time of queries that are logged as slow; 0: none",
    ),
    flag("rules.alert.for-outage-tolerance", "1h", "Longest outage after which `for` goes on"),
    flag("rules.alert.for-grace-period", "10m", "Shortest `for` whose state is restored"),
    flag("rules.alert.resend-delay", "1m", "Time before a firing alert is sent again"),
    flag("alertmanager.notification-queue-capacity", "10000", "Alerts waiting to be sent"),
    flag("log.level", "info", "debug, info, warn or error"),
    flag("log.format", "logfmt", "logfmt or json"),
];

const SWITCHES: [(&str, &str); 2] = [
    (ENABLE_LIFECYCLE, "Allow reload and shutdown over HTTP"),
    (ENABLE_ADMIN_API, "Allow deletion and snapshots over HTTP"),
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
        let features = raw.features();
        let auto_reload_interval = raw.duration(AUTO_RELOAD_INTERVAL)?;
        anyhow::ensure!(
            auto_reload_interval >= Duration::from_secs(1),
            "--{AUTO_RELOAD_INTERVAL}: must be at least 1s"
        );
        let auto_reload = features.iter().any(|feature| feature == AUTO_RELOAD);
        let mut options = EngineOptions::default();
        let is_unknown = |feature: &String| feature != AUTO_RELOAD && !options.enable(feature);
        let unknown_features = features.into_iter().filter(is_unknown).collect();
        let retention = Some(raw.duration("storage.retention")?).filter(|time| !time.is_zero());
        let retention_bytes = Some(raw.size(RETENTION_SIZE)?).filter(|&bytes| bytes > 0);
        Ok(Self {
            config_file: raw.optional(CONFIG_FILE).map(PathBuf::from),
            auto_reload: auto_reload.then_some(auto_reload_interval),
            unknown_features,
            storage: StorageFlags {
                path: PathBuf::from(raw.text("storage.path")),
                retention: retention.or(retention_bytes.is_none().then_some(RETENTION)),
                retention_bytes,
                exemplars_max: raw.number("storage.exemplars.max")?,
                wal_sync: raw.duration("storage.wal-sync")?,
                wal_compression: raw.compression(WAL_COMPRESSION)?,
            },
            web: WebFlags {
                listen_address,
                external_url,
                enable_lifecycle: matches.get_flag(ENABLE_LIFECYCLE),
                enable_admin_api: matches.get_flag(ENABLE_ADMIN_API),
                cors_origin: raw.text("web.cors.origin").to_owned(),
                max_connections: raw.count("web.max-connections")?,
            },
            query: QueryFlags {
                lookback: raw.duration("query.lookback-delta")?,
                timeout: raw.duration("query.timeout")?,
                max_samples: raw.count("query.max-samples")?,
                max_memory: Some(raw.size("query.max-memory")?)
                    .filter(|bytes| *bytes > 0)
                    .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
                max_concurrency: raw.count("query.max-concurrency")?,
                slow: raw.duration("query.slow-log-threshold")?,
                options,
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
    let features = Arg::new(ENABLE_FEATURE)
        .long(ENABLE_FEATURE)
        .action(ArgAction::Append)
        .value_delimiter(',')
        .help("What Prometheus calls experimental, by its names: auto-reload-config, promql-experimental-functions, …");
    let switches = SWITCHES
        .map(|(name, help)| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help));
    Command::new(tier.program)
        .about(tier.about)
        .version(tier.version)
        .arg(listen_address)
        .arg(features)
        .args(switches)
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

    fn size(&self, name: &str) -> anyhow::Result<u64> {
        model::size::parse(self.text(name)).with_context(|| format!("--{name}"))
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

    fn features(&self) -> Vec<String> {
        let features = self.matches.get_many::<String>(ENABLE_FEATURE).into_iter().flatten();
        features.filter(|feature| !feature.is_empty()).cloned().collect()
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
        let switches = SWITCHES.map(|(name, _)| (name, self.matches.get_flag(name).to_string()));
        effective.extend(switches.map(|(name, value)| (name.to_owned(), value)));
        effective.insert(ENABLE_FEATURE.to_owned(), self.features().join(","));
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
        assert_eq!(flags.storage.exemplars_max, 100_000);
        assert_eq!(flags.effective["query.timeout"], "2m");
        assert_eq!(flags.effective["web.enable-lifecycle"], "false");
        assert!(!flags.web.enable_admin_api);
    }

    #[test]
    fn flags_answer_to_the_names_that_prometheus_users_know() {
        let flags = Flags::parse(
            &TIER,
            &[
                "--storage.tsdb.path=/x",
                "--web.enable-admin-api",
                "--storage.tsdb.wal-compression-type=zstd",
                "--storage.exemplars.max=0",
                "--web.listen-address=:9999",
                "--web.enable-lifecycle",
                "--web.external-url=http://central/",
            ],
        )
        .unwrap();
        assert_eq!(flags.storage.path, PathBuf::from("/x"));
        assert!(flags.web.enable_admin_api);
        assert_eq!(flags.storage.wal_compression, tsdb::Compression::Zstd);
        assert_eq!(flags.storage.exemplars_max, 0);
        assert_eq!(flags.web.listen_address.to_string(), "0.0.0.0:9999");
        assert_eq!(flags.web.external_url, "http://central");
        assert!(flags.web.enable_lifecycle);
    }

    #[test]
    fn the_configuration_is_watched_where_the_feature_is_enabled() {
        #[track_caller]
        fn check(arguments: &[&str], seconds: Option<u64>, unknown: &[&str]) {
            let flags = Flags::parse(&TIER, arguments).unwrap();
            assert_eq!(flags.auto_reload, seconds.map(Duration::from_secs), "{arguments:?}");
            assert_eq!(flags.unknown_features, unknown, "{arguments:?}");
        }
        check(&["--config.auto-reload-interval=5s"], None, &[]);
        check(&["--enable-feature=auto-reload-config"], Some(30), &[]);
        check(
            &[
                "--enable-feature=native-histograms,auto-reload-config",
                "--enable-feature=x,",
                "--config.auto-reload-interval=5s",
            ],
            Some(5),
            &["native-histograms", "x"],
        );
        let names = "--enable-feature=promql-experimental-functions,promql-delayed-name-removal";
        check(&[names], None, &[]);
        let options = Flags::parse(&TIER, &[names]).unwrap().query.options;
        assert!(options.features.experimental_functions && options.delayed_name_removal);
        assert!(!options.features.fill_modifiers && !options.type_and_unit_labels);
        let error = Flags::parse(&TIER, &["--config.auto-reload-interval=0s"]).unwrap_err();
        assert_eq!(error.to_string(), "--config.auto-reload-interval: must be at least 1s");
    }

    /// As Prometheus' `cmd/prometheus/main.go` has it.
    #[test]
    fn retention_is_15_days_where_neither_time_nor_size_is_limited() {
        #[track_caller]
        fn check(arguments: &[&str], days: Option<u64>, bytes: Option<u64>) {
            let storage = Flags::parse(&TIER, arguments).unwrap().storage;
            let time = days.map(|days| Duration::from_secs(days * 86_400));
            assert_eq!(
                (storage.retention, storage.retention_bytes),
                (time, bytes),
                "{arguments:?}"
            );
        }
        check(&[], Some(15), None);
        check(&["--storage.tsdb.retention.time=2d"], Some(2), None);
        check(&["--storage.tsdb.retention.size=1.5GB"], None, Some(3 << 29));
        check(
            &["--storage.retention-size=10MB", "--storage.retention=1d"],
            Some(1),
            Some(10 << 20),
        );
        check(&["--storage.retention=0", "--storage.retention-size=0"], Some(15), None);
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
        check(
            "--storage.retention-size=1",
            "--storage.retention-size: \"1\" is not a size such as 10MB",
        );
        check("--log.level=loud", "--log.level: ");
        check("--web.listen-address=nowhere", "--web.listen-address: nowhere");
        check("--no.such.flag=1", "unexpected argument '--no.such.flag'");
    }
}
