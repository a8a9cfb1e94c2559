//! What can go wrong with a request, as the API tells it.
//!
//! Every error has one of Prometheus' types, and each type has one HTTP status: this is the only
//! place where the two meet. Source: Prometheus `web/api/v1/api.go`, `respondError`.

use axum::http::StatusCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorType {
    BadData,
    Execution,
    Canceled,
    Timeout,
    Internal,
    Unavailable,
    /// What the command line did not enable. Prometheus has no status of its own for that.
    Disabled,
}

impl ErrorType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Canceled => "canceled",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
            Self::Unavailable | Self::Disabled => "unavailable",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            // nginx's code for a client that has gone: nobody reads it but the metrics.
            Self::Canceled => StatusCode::from_u16(499).expect("499 is in a status code's range"),
            Self::Timeout | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal | Self::Disabled => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A refused or failed request: its type and the sentence that the client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) error_type: ErrorType,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(error_type: ErrorType, message: impl Into<String>) -> Self {
        Self { error_type, message: message.into() }
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self::new(ErrorType::BadData, message)
    }

    /// A parameter that cannot be read.
    pub(crate) fn parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {reason}"))
    }
}

impl From<storage::AdminError> for ApiError {
    fn from(error: storage::AdminError) -> Self {
        Self::new(ErrorType::Internal, with_causes(&error))
    }
}

impl From<storage::QueryError> for ApiError {
    fn from(error: storage::QueryError) -> Self {
        Self::new(ErrorType::Internal, with_causes(&error))
    }
}

/// The error and what it says caused it, outermost first: clients see one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
