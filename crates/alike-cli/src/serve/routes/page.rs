//! The page for people: files within the program, which ask the same routes as everybody else.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::serve::error::{ApiError, ApiResult};
use crate::serve::extract::Path;

/// What the page may load: its own files, its own server, pictures that it has fetched itself. Nothing from
/// elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Files of the page with their contents.
macro_rules! files {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("../page/", $name)))),*] };
}

/// All but the page itself, which is at `/`.
const FILES: [(&str, &str); 19] = files![
    "api.js",
    "cards.js",
    "catalogue.js",
    "charts.js",
    "chips.js",
    "compare.js",
    "data.js",
    "dom.js",
    "item.js",
    "page.css",
    "page.js",
    "person.js",
    "picker.js",
    "route.js",
    "ruleform.js",
    "rules.js",
    "session.js",
    "tests.js",
    "training.js",
];

/// `/`.
pub(crate) async fn index() -> Response {
    file("text/html; charset=utf-8", include_str!("../page/index.html"))
}

/// `/page/{file}`.
pub(crate) async fn part(Path(name): Path<String>) -> ApiResult<Response> {
    let kind =
        if name.ends_with(".css") { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" };
    match FILES.iter().find(|(known, _)| *known == name) {
        Some((_, content)) => Ok(file(kind, content)),
        None => Err(ApiError::new(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_and_loads_its_own_only() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/serve/page");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "index.html")
            .collect();
        there.sort();
        assert_eq!(there, FILES.map(|(name, _)| name));
        for (name, content) in FILES {
            for (_, import) in
                content.match_indices(" from \"").map(|(at, text)| content[at..].split_at(text.len()))
            {
                let wanted = import.split('"').next().unwrap().strip_prefix("./");
                assert!(
                    wanted.is_some_and(|wanted| FILES.iter().any(|(known, _)| *known == wanted)),
                    "{name}: {import}"
                );
            }
            let elsewhere = content.replace("http://www.w3.org/2000/svg", "");
            for forbidden in ["http:", "https:", "innerHTML", "eval(", "setAttribute(\"style\"", "import("] {
                assert!(!elsewhere.contains(forbidden), "{name} has {forbidden}");
            }
        }
        let bytes: usize = FILES.iter().map(|(_, content)| content.len()).sum();
        assert!(bytes < 128 << 10, "the page has {bytes} bytes");
    }
}
