//! What every request passes on its way: a number, the API key, limits, the log and the counts.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refusal;
use super::app::App;

/// Name of the header that numbers a request; clients may choose the number.
const REQUEST_ID: &str = "x-request-id";

/// Passes `request` on, if it may.
pub(crate) async fn pass(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id = given_id(request.headers()).unwrap_or_else(|| app.next_request());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_string();
    let method = known_method(request.method().as_str());
    let in_flight = InFlight::begin(&app);
    let mut response = match app.admitted.try_acquire() {
        Err(_) => Refusal::busy().into_response(),
        Ok(_place) if !(open(&route) || authorised(&app, request.headers())) => {
            let text = "this server wants its API key: `Authorization: Bearer KEY` or `X-Api-Key: KEY`";
            let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", text);
            ([(header::WWW_AUTHENTICATE, "Bearer")], refusal).into_response()
        }
        // Said at once; a body that does not say its length is cut off when it is read.
        Ok(_place) if announced(request.headers()).is_some_and(|length| length > app.max_body as u64) => {
            let text = format!("the body is too large; allowed: {} bytes", app.max_body);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text).into_response()
        }
        Ok(_place) => match tokio::time::timeout(app.patience, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                let text = format!("not done after {} s", app.patience.as_secs());
                Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", text).into_response()
            }
        },
    };
    drop(in_flight);
    let (status, took) = (response.status().as_u16(), start.elapsed());
    app.metrics.answered(&route, method, status, took);
    // The pattern, not the address: logs name no people.
    let milliseconds = (took.as_secs_f64() * 1e5).round() / 1e2;
    tracing::info!(request = %id, method, route, status, milliseconds, "answered");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Counts a request while it is answered, also one that is given up because its client has gone.
struct InFlight<'a>(&'a App);

impl<'a> InFlight<'a> {
    fn begin(app: &'a App) -> Self {
        app.metrics.in_flight.inc();
        Self(app)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics.in_flight.dec();
    }
}

/// Whether a route answers without a key: the page (which asks people for it), what load balancers ask, and what there is to ask.
fn open(route: &str) -> bool {
    matches!(route, "/" | "/page/{file}" | "/health/live" | "/health/ready" | "/openapi.json")
}

fn authorised(app: &App, headers: &HeaderMap) -> bool {
    let Some(key) = &app.key else { return true };
    let bearer = headers.get(header::AUTHORIZATION).and_then(|v| v.as_bytes().strip_prefix(b"Bearer "));
    let given = bearer.or_else(|| headers.get("x-api-key").map(HeaderValue::as_bytes));
    // Hashes of this kind are compared in the same time wherever they differ.
    given.is_some_and(|given| blake3::hash(given) == *key)
}

/// The length of the body, where the client says it.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn given_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ((1..=64).contains(&id.len()) && id.chars().all(plain)).then(|| id.to_string())
}

/// Clients may invent methods; the counts have only those that the routes know.
fn known_method(method: &str) -> &'static str {
    let known = ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"];
    known.into_iter().find(|&m| m == method).unwrap_or("other")
}
