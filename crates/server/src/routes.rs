//! Everything the server answers over HTTP, as one router.

use std::sync::Arc;

use anyhow::Context as _;
use api::{CorsOrigin, Lifecycle};
use axum::Router;
use model::Timestamp;
use parking_lot::RwLock;

use crate::Tier;
use crate::flags::Flags;
use crate::parts::Parts;
use crate::status::{Loaded, Status, build_info};

pub(crate) fn router(
    tier: &Tier,
    flags: &Flags,
    parts: &Arc<Parts>,
    loaded: &Arc<RwLock<Loaded>>,
    lifecycle: Lifecycle,
) -> anyhow::Result<Router> {
    let state = api::State {
        query: parts.query(),
        admin: flags.web.enable_admin_api.then(|| Arc::clone(&parts.db) as _),
        engine: parts.engine.clone(),
        query_log: Arc::clone(&parts.query_log),
        status: Arc::new(Status::new(Arc::clone(parts), flags, Arc::clone(loaded))),
        build_info: build_info(tier),
        lifecycle,
        options: api::Options {
            max_concurrency: flags.query.max_concurrency,
            timeout: flags.query.timeout,
            cors_origin: CorsOrigin::parse(&flags.web.cors_origin).context("--web.cors.origin")?,
        },
        now,
    };
    let fleet = fleet::router(parts.query(), fleet::Options::default(), now);
    Ok(api::router(state, parts.links().merge(fleet)))
}

/// The wall clock. What needs the time takes this function as a parameter.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}
