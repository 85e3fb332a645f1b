//! The page for people: three files of this program, no resources from elsewhere. It asks the routes under `/v1` and nothing
//! else, so it shows what any client would get.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// Where the files of the page are; they say nothing of the data and need no key.
pub(crate) const PATHS: [&str; 3] = ["/", "/page.css", "/page.js"];

/// Scripts, styles and requests only of this server; pictures also where the catalogue names addresses.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' blob: data: https: http:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The page.
pub(crate) async fn html() -> Response {
    file("text/html; charset=utf-8", include_str!("page/index.html"))
}

/// How it looks.
pub(crate) async fn css() -> Response {
    file("text/css; charset=utf-8", include_str!("page/page.css"))
}

/// What it does.
pub(crate) async fn js() -> Response {
    file("text/javascript; charset=utf-8", include_str!("page/page.js"))
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
