//! The page for people: three files within the program, which ask the same routes as everybody else.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::serve::error::{ApiError, ApiResult};
use crate::serve::extract::Path;

/// What the page may load: its own files, its own server, pictures that it has fetched itself. Nothing from
/// elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/`.
pub(crate) async fn index() -> Response {
    file("text/html; charset=utf-8", include_str!("../page/index.html"))
}

/// `/page/{file}`.
pub(crate) async fn part(Path(name): Path<String>) -> ApiResult<Response> {
    match name.as_str() {
        "page.css" => Ok(file("text/css; charset=utf-8", include_str!("../page/page.css"))),
        "page.js" => Ok(file("text/javascript; charset=utf-8", include_str!("../page/page.js"))),
        _ => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown_path",
            format!("the page has no file `{name}`"),
        )),
    }
}

fn file(kind: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}
