//! From what is known of Alertmanagers to the URLs that alerts are posted to.

use std::sync::Arc;

use discovery::TargetGroup;
use model::{Labels, LabelsBuilder};
use relabel::{RelabelStep, Verdict, relabel};
use url::Url;

const ADDRESS_LABEL: &str = "__address__";
const SCHEME_LABEL: &str = "__scheme__";
const PATH_LABEL: &str = "__alerts_path__";

/// What an entry of `alertmanagers` says of where they are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Places {
    pub(crate) scheme: String,
    pub(crate) path: String,
    pub(crate) relabel: Vec<RelabelStep>,
    /// What the entry itself lists.
    pub(crate) listed: Vec<Arc<TargetGroup>>,
}

#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    /// Each once, though it may have been found twice.
    pub(crate) active: Vec<Url>,
    /// Of the targets that relabelling dropped.
    pub(crate) dropped: Vec<Url>,
    /// Of the targets that are none.
    pub(crate) errors: Vec<PlaceError>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error("scheme: {0:?} is neither \"http\" nor \"https\"")]
    Scheme(String),
    #[error("{0:?} is not a valid hostname")]
    Target(String),
    #[error("{url:?} is no URL: {reason}")]
    Url { url: String, reason: url::ParseError },
}

impl Places {
    /// Where to post: what is listed, and what discovery has found.
    pub(crate) fn endpoints(&self, found: &[Arc<TargetGroup>]) -> Endpoints {
        let mut endpoints = Endpoints::default();
        for group in self.listed.iter().chain(found) {
            for target in &group.targets {
                if let Err(error) = self.add(&mut endpoints, &group.labels, target) {
                    endpoints.errors.push(error);
                }
            }
        }
        endpoints
    }

    fn add(
        &self,
        endpoints: &mut Endpoints,
        group: &Labels,
        target: &Labels,
    ) -> Result<(), PlaceError> {
        let mut labels = group.to_builder();
        for (name, value) in target {
            labels.set(name, value);
        }
        labels.set(SCHEME_LABEL, &self.scheme).set(PATH_LABEL, &self.path);
        let url = endpoint(&labels)?;
        match relabel(&self.relabel, &mut labels) {
            Verdict::Drop => endpoints.dropped.push(url),
            Verdict::Keep => {
                let url = endpoint(&labels)?;
                if !endpoints.active.contains(&url) {
                    endpoints.active.push(url);
                }
            }
        }
        Ok(())
    }
}

fn endpoint(labels: &LabelsBuilder) -> Result<Url, PlaceError> {
    let (scheme, address) = (labels.value(SCHEME_LABEL), labels.value(ADDRESS_LABEL));
    if !matches!(scheme, "http" | "https") {
        return Err(PlaceError::Scheme(scheme.to_owned()));
    }
    if address.is_empty() || address.contains('/') {
        return Err(PlaceError::Target(address.to_owned()));
    }
    let url = format!("{scheme}://{address}{}", labels.value(PATH_LABEL));
    Url::parse(&url).map_err(|reason| PlaceError::Url { url, reason })
}
