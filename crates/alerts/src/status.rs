//! What `/api/v1/alertmanagers` answers.

use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertmanagersStatus {
    pub active_alertmanagers: Vec<AlertmanagerUrl>,
    pub dropped_alertmanagers: Vec<AlertmanagerUrl>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertmanagerUrl {
    pub url: String,
}
