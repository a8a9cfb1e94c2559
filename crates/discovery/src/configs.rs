//! The keys of a section that say where its targets are found, other than in the section itself.

use model::Part;
use serde::Deserialize;
use serde::de::MapAccess;

use crate::Config;

/// What `…_sd_configs` say, all of them together. A section reads `model::Split<Configs, _>`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configs(pub Vec<Config>);

impl Part for Configs {
    const KEYS: &'static [&'static str] =
        &["file_sd_configs", "http_sd_configs", "kubernetes_sd_configs"];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, from: &mut A) -> Result<(), A::Error> {
        match key {
            "file_sd_configs" => self.extend(from, Config::File),
            "http_sd_configs" => self.extend(from, |config| Config::Http(Box::new(config))),
            "kubernetes_sd_configs" => {
                self.extend(from, |config| Config::Kubernetes(Box::new(config)))
            }
            other => unreachable!("{other} is not among the keys"),
        }
    }
}

impl Configs {
    fn extend<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
        &mut self,
        from: &mut A,
        config: impl Fn(T) -> Config,
    ) -> Result<(), A::Error> {
        let entries: Option<Vec<T>> = from.next_value()?;
        self.0.extend(entries.into_iter().flatten().map(config));
        Ok(())
    }
}
