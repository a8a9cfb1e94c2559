//! Configuration keys that Prometheus knows and we do not support.

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

const OR_FILE: &str = "use http_sd_configs, or file_sd_configs with a file that lists its targets";
const CLOUD: &str = "use http_sd_configs, or file_sd_configs with a file made from the provider's list of instances";
const ZOOKEEPER: &str = "use file_sd_configs with a file made from what ZooKeeper holds";
const SIGNED: &str = "use basic_auth, authorization, oauth2 or a client certificate, or send through a proxy that signs";

/// Each key with what to use in its place. They mean the same in every section that has them.
const INSTEAD: [(&str, &str); 35] = [
    ("aws_sd_configs", CLOUD),
    ("azure_sd_configs", CLOUD),
    ("consul_sd_configs", "use dns_sd_configs with Consul's DNS interface, or http_sd_configs"),
    ("digitalocean_sd_configs", CLOUD),
    ("docker_sd_configs", OR_FILE),
    (
        "dockerswarm_sd_configs",
        "use dns_sd_configs with the name tasks.<service>, or http_sd_configs",
    ),
    ("ec2_sd_configs", CLOUD),
    ("eureka_sd_configs", OR_FILE),
    ("gce_sd_configs", CLOUD),
    ("hetzner_sd_configs", CLOUD),
    ("ionos_sd_configs", CLOUD),
    ("kuma_sd_configs", "use kubernetes_sd_configs, or http_sd_configs"),
    ("lightsail_sd_configs", CLOUD),
    ("linode_sd_configs", CLOUD),
    ("marathon_sd_configs", "use dns_sd_configs with Mesos-DNS, or http_sd_configs"),
    ("nerve_sd_configs", ZOOKEEPER),
    ("nomad_sd_configs", OR_FILE),
    ("openstack_sd_configs", CLOUD),
    ("outscale_sd_configs", CLOUD),
    ("ovhcloud_sd_configs", CLOUD),
    ("puppetdb_sd_configs", OR_FILE),
    ("scaleway_sd_configs", CLOUD),
    ("serverset_sd_configs", ZOOKEEPER),
    ("stackit_sd_configs", CLOUD),
    ("triton_sd_configs", CLOUD),
    ("uyuni_sd_configs", OR_FILE),
    ("vultr_sd_configs", CLOUD),
    ("sigv4", SIGNED),
    ("azuread", SIGNED),
    ("google_iam", SIGNED),
    ("remote_read", "let that server write here with remote_write, or federate from it"),
    ("otlp", "send with remote write, as the OpenTelemetry collector does too"),
    ("runtime", "leave it out, for there is no garbage collector to tune"),
    ("tracing", "leave it out, and see global.query_log_file for what queries cost"),
    (
        "scrape_failure_log_file",
        "see /api/v1/targets for the last error of each target, or log them with --log.level=debug",
    ),
];

/// What to use instead of `key`; `None` if it is not one that is known to be unsupported.
pub(crate) fn instead_of(key: &str) -> Option<&'static str> {
    INSTEAD.iter().find_map(|(name, instead)| (*name == key).then_some(*instead))
}

/// The type of such a key: any value is an error that names the key and its line, so that nothing in
/// a configuration silently does nothing. The default stands for the key's absence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unsupported;

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Refusal)
    }
}

/// Refuses in its `visit` methods: only an error from there gets the value's place.
struct Refusal;

const MESSAGE: &str = "not supported yet";

impl<'de> Visitor<'de> for Refusal {
    type Value = Unsupported;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing: this key is not supported yet")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Unsupported, E> {
        Err(E::custom(MESSAGE))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Unsupported, E> {
        Err(E::custom(MESSAGE))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Unsupported, E> {
        Err(E::custom(MESSAGE))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Unsupported, A::Error> {
        Err(A::Error::custom(MESSAGE))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Unsupported, A::Error> {
        Err(A::Error::custom(MESSAGE))
    }
}
