//! Lets the server answer before there is anything to answer from: what requests reach is replaced
//! while it serves.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use parking_lot::RwLock;
use tower::{ServiceExt as _, service_fn};

#[derive(Clone)]
pub(crate) struct Gate(Arc<RwLock<Router>>);

impl Gate {
    pub(crate) fn new(router: Router) -> Self {
        Self(Arc::new(RwLock::new(router)))
    }

    /// From now on requests reach `router`; those that are being answered end where they are.
    pub(crate) fn lead_to(&self, router: Router) {
        *self.0.write() = router;
    }

    /// To be served.
    pub(crate) fn router(&self) -> Router {
        let gate = self.clone();
        Router::new().fallback_service(service_fn(move |request: Request| {
            let router = gate.0.read().clone();
            router.oneshot(request)
        }))
    }
}
