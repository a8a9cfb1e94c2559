//! What is answered to which request.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State as Shared};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::selector::Selection;
use crate::{State, store, watch};

pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    let router = Router::new().fallback(answer).with_state(state);
    if let Err(error) = axum::serve(listener, router).await {
        panic!("serve the API: {error}");
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parameters {
    watch: String,
    limit: usize,
    #[serde(rename = "continue")]
    next: String,
    resource_version: String,
    allow_watch_bookmarks: String,
    label_selector: String,
    field_selector: String,
}

async fn answer(
    Shared(state): Shared<Arc<State>>,
    uri: Uri,
    headers: HeaderMap,
    Query(parameters): Query<Parameters>,
) -> Response {
    if let Some(refusal) = refusal(&state, &uri.to_string(), &headers) {
        return refusal;
    }
    if uri.path() == "/version" {
        return json_answer(
            StatusCode::OK,
            &json!({"major": "1", "minor": "29", "gitVersion": "v1.29.0"}),
        );
    }
    let Some(mut selection) = selection(uri.path()) else {
        return failure(StatusCode::NOT_FOUND, "the server could not find the requested resource");
    };
    selection.labels.clone_from(&parameters.label_selector);
    selection.fields.clone_from(&parameters.field_selector);
    if matches!(parameters.watch.as_str(), "true" | "1") {
        let version = parameters.resource_version.parse().unwrap_or(0);
        if state.store.lock().is_forgotten(version) {
            return failure(StatusCode::GONE, "too old resource version");
        }
        let wants_bookmarks = parameters.allow_watch_bookmarks == "true";
        let stream = watch::stream(state, selection, version, wants_bookmarks);
        return ([(CONTENT_TYPE, "application/json")], Body::from_stream(stream)).into_response();
    }
    list(&state, &selection, &parameters)
}

/// Notes the request, and gives the answer where it is not to be served.
fn refusal(state: &State, uri: &str, headers: &HeaderMap) -> Option<Response> {
    let mut manners = state.manners.lock();
    manners.requests.push(uri.to_owned());
    if let Some(status) = manners.refusal {
        return Some(failure(status, "told to"));
    }
    let token = manners.token.as_ref()?;
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    (sent != Some(&format!("Bearer {token}")))
        .then(|| failure(StatusCode::UNAUTHORIZED, "Unauthorized"))
}

/// `/api/v1/pods`, `/api/v1/namespaces/default/pods` and the like.
fn selection(path: &str) -> Option<Selection> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let rest = match parts.as_slice() {
        ["api", "v1", rest @ ..] | ["apis", _, "v1", rest @ ..] => rest,
        _ => return None,
    };
    let (namespace, plural) = match rest {
        [plural] => ("", plural),
        ["namespaces", namespace, plural] => (*namespace, plural),
        _ => return None,
    };
    let (plural, namespace) = ((*plural).to_owned(), namespace.to_owned());
    Some(Selection { plural, namespace, ..Selection::default() })
}

fn list(state: &State, selection: &Selection, parameters: &Parameters) -> Response {
    let is_later = !parameters.next.is_empty();
    if is_later && std::mem::take(&mut state.manners.lock().expire_next_page) {
        return failure(StatusCode::GONE, "The provided continue parameter is too old");
    }
    let limit = if parameters.limit == 0 { usize::MAX } else { parameters.limit };
    let store = state.store.lock();
    let page = store.page(selection, &parameters.next, limit);
    let (kind, api_version) = store::kind(&selection.plural);
    let list = json!({
        "kind": format!("{kind}List"),
        "apiVersion": api_version,
        "metadata": {"resourceVersion": store.version().to_string(), "continue": page.next},
        "items": page.items,
    });
    json_answer(StatusCode::OK, &list)
}

/// As Kubernetes says what is wrong.
pub(crate) fn status(code: StatusCode, message: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": if code == StatusCode::GONE { "Expired" } else { "Failure" },
        "code": code.as_u16(),
        "message": message,
    })
}

fn failure(code: StatusCode, message: &str) -> Response {
    json_answer(code, &status(code, message))
}

fn json_answer(code: StatusCode, body: &Value) -> Response {
    (code, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
