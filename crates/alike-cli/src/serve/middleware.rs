//! What every request passes on its way: a number, the API key, limits, the log and the counts.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::arriving::Arriving;
use super::error::{ApiError, ApiResult};
use super::keys::Scope;
use super::listen::client::Client;
use super::origin::one_host;
use super::places::Place;
use super::rate::Who;
use super::state::App;

/// Name of the header that numbers a request; clients may choose the number.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Ends a connection with the answer.
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// What the guard knows.
pub(crate) struct Guard {
    app: Arc<App>,
    /// What each route asks of a key, by method and pattern.
    needs: HashMap<(String, String), Scope>,
}

impl Guard {
    /// Reads what routes ask for from their description, so that the two are one.
    pub(crate) fn new(app: Arc<App>, document: &serde_json::Value) -> Self {
        let mut needs = HashMap::new();
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                if let Some(scope) = operation["security"][0]["key"][0].as_str().and_then(Scope::from_word) {
                    needs.insert((method.to_uppercase(), path.clone()), scope);
                }
            }
        }
        Self { app, needs }
    }

    /// What a route asks of a key. What is no route asks for any key.
    fn needed(&self, method: &str, route: &str) -> Option<Scope> {
        // A route that knows GET answers HEAD.
        let method = if method == "HEAD" { "GET" } else { method };
        self.needs.get(&(method.to_string(), route.to_string())).copied()
    }
}

/// Passes `request` on, if it may.
pub(crate) async fn handle(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let app = &guard.app;
    let start = Instant::now();
    let id = given_id(request.headers()).unwrap_or_else(|| app.next_request());
    let trace = given_trace(request.headers()).map(String::from);
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_string();
    let method = known_method(request.method().as_str());
    let in_flight = InFlight::begin(app);
    let client = request.extensions().get::<Arc<Client>>().cloned();
    // Whether all of the body has come; none has none to come.
    let whole = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    let mut response = match guard.admit(&route, client.as_deref(), &request) {
        Err(refusal) => refusal.into_response(),
        Ok(Held { _request: held, body }) => {
            let stall = app.limits.stall;
            let request = match body {
                Some(place) => request.map(|body| Arriving::body(body, place, whole.clone(), stall)),
                None => request,
            };
            let answered = tokio::time::timeout(app.limits.request_timeout, next.run(request)).await;
            drop(held);
            answered.unwrap_or_else(|_| {
                let text = format!("not done after {} s", app.limits.request_timeout.as_secs());
                ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", text).into_response()
            })
        }
    };
    drop(in_flight);
    let (status, took) = (response.status().as_u16(), start.elapsed());
    app.metrics.answered(&route, method, status, took);
    // The pattern, not the address: logs name no people.
    let milliseconds = (took.as_secs_f64() * 1e5).round() / 1e2;
    tracing::info!(request = %id, trace, method, route, status, milliseconds, "answered");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !whole.load(Ordering::Relaxed) {
        // What still comes of the body would be taken for the next request.
        headers.insert(header::CONNECTION, CLOSE);
        client.inspect(|client| client.leaves_unread());
    }
    response
}

/// Tells clients when a connection takes no more requests: it has had its share, or the server is about to
/// stop. Otherwise their next request would meet a closed door.
pub(crate) async fn last_request(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<Arc<Client>>().cloned();
    let mut response = next.run(request).await;
    if client.is_some_and(|client| client.is_last()) || !app.is_ready() {
        response.headers_mut().insert(header::CONNECTION, CLOSE);
    }
    response
}

/// What a request holds while it is answered.
struct Held {
    _request: Option<Place>,
    /// Of requests with a body, until it has come.
    body: Option<Place>,
}

impl Guard {
    /// Whether a request may be answered, and with what it may take up.
    fn admit(&self, route: &str, client: Option<&Client>, request: &Request) -> ApiResult<Held> {
        let app = &self.app;
        one_host(request)?;
        let health = matches!(route, "/health/live" | "/health/ready");
        // Counts are looked at just when there is too much to do.
        let about_itself = health || route == "/metrics";
        if client.is_some_and(|client| client.probe) && !about_itself {
            return Err(ApiError::busy());
        }
        if health {
            return Ok(Held { _request: None, body: None });
        }
        let address = client.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |client| client.address);
        self.welcome(route, address, request)?;
        let (length, most) = (announced(request.headers()), app.limits.max_body);
        // Said at once; a body that does not say its length is cut off when it is read.
        if length.is_some_and(|length| length > most as u64) {
            let text = format!("the body is too large; allowed: {most} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text));
        }
        if about_itself {
            return Ok(Held { _request: None, body: None });
        }
        let place = app.requests.take(address).ok_or_else(ApiError::busy)?;
        let body = match request.body().is_end_stream() {
            true => None,
            false => Some(app.bodies.take(address).ok_or_else(ApiError::busy)?),
        };
        Ok(Held { _request: Some(place), body })
    }

    /// Whether anyone who asks may ask for this, and not too often.
    fn welcome(&self, route: &str, address: IpAddr, request: &Request) -> ApiResult<()> {
        let app = &self.app;
        let keys = app.keys.current();
        let key = keys.find(request.headers());
        if let Some(rate) = &app.rate {
            // Also before a key is known to be wrong: nobody should be able to try many.
            let who = key.map_or(Who::Address(address), |(number, _)| Who::Key(number));
            rate.take(who, Instant::now()).map_err(too_often)?;
        }
        if keys.is_empty() {
            return app.origins.check(request, open(route));
        }
        if open(route) {
            return Ok(());
        }
        let Some((_, key)) = key else {
            let text = "this server wants its API key: `Authorization: Bearer KEY` or `X-Api-Key: KEY`";
            let refusal = ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", text);
            return Err(refusal.with_header(header::WWW_AUTHENTICATE, "Bearer"));
        };
        let needed = self.needed(request.method().as_str(), route);
        if !key.allows(needed) {
            let scope = needed.map_or("admin", Scope::word);
            let text = format!("this key is not good for that; allowed: keys with the scope {scope}");
            return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", text));
        }
        Ok(())
    }
}

/// 429, and when to come again.
fn too_often(wait: Duration) -> ApiError {
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
    let text = format!("too many requests; try again in {seconds} s");
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate", text)
        .with_header(header::RETRY_AFTER, seconds.to_string())
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

/// Whether a route answers without a key: the page (which asks people for it), what load balancers ask, and
/// what there is to ask.
fn open(route: &str) -> bool {
    matches!(route, "/" | "/page/{file}" | "/health/live" | "/health/ready" | "/openapi.json")
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

/// The trace that a request is part of, as W3C's Trace Context has it: `00-` trace `-` span `-` flags.
fn given_trace(headers: &HeaderMap) -> Option<&str> {
    let parts: Vec<&str> = headers.get("traceparent")?.to_str().ok()?.split('-').collect();
    let [version, trace, span, flags, ..] = parts[..] else { return None };
    let hex = |text: &str, digits| {
        let small = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        text.len() == digits && text.bytes().all(small)
    };
    let given = |text: &str| text.bytes().any(|b| b != b'0');
    let right = hex(version, 2) && version != "ff" && (parts.len() == 4 || version != "00");
    let right = right && hex(trace, 32) && given(trace) && hex(span, 16) && given(span) && hex(flags, 2);
    right.then_some(trace)
}

/// Clients may invent methods; the counts have only those that the routes know.
fn known_method(method: &str) -> &'static str {
    let known = ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"];
    known.into_iter().find(|&m| m == method).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_those_of_the_recommendation() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let (none, zeros) = ("0".repeat(32), "0".repeat(16));
        let upper = trace.to_uppercase();
        for (text, is_one) in [
            (format!("00-{trace}-{span}-01"), true),
            (format!("cc-{trace}-{span}-00-more"), true),
            (format!("00-{trace}-{span}-01-more"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{none}-{span}-01"), false),
            (format!("00-{trace}-{zeros}-01"), false),
            (format!("00-{upper}-{span}-01"), false),
            (format!("00-{trace}-{span}"), false),
            (String::new(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", text.parse().unwrap());
            assert_eq!(given_trace(&headers), is_one.then_some(trace), "{text}");
        }
        assert_eq!(given_trace(&HeaderMap::new()), None);
    }
}
