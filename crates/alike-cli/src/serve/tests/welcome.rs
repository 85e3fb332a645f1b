//! Who may ask for what: keys and their scopes, pages of other sites, and how often.

use axum::body::Body;
use axum::http::{Request, Response, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Served;
use crate::serve::keys::Keys;
use crate::serve::origin::Origins;
use crate::serve::rate::Rate;
use crate::serve::router;

const KEY: &str = "a-key-of-16-bytes";

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if method == "POST" { Body::from("{}") } else { Body::empty() };
    request.body(body).unwrap()
}

/// Status and code of the answer; no code where it is served.
async fn status(served: &Served, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let (status, body) = served.send(request(method, path, headers)).await;
    (status, if status >= 400 { body["error"]["code"].clone() } else { Value::Null })
}

/// The whole answer.
async fn answer(served: &Served, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let headers: Vec<_> = headers.iter().copied().chain([("host", "localhost")]).collect();
    served.router.clone().oneshot(request(method, path, &headers)).await.unwrap()
}

#[tokio::test]
async fn the_key_is_asked_for_everywhere_but_where_machines_look() {
    let served = Served::with_app("popularity", |app| app.keys = Keys::admin(KEY).unwrap().into()).await;
    for path in ["/v1/model", "/metrics", "/nowhere"] {
        assert_eq!(status(&served, "GET", path, &[]).await, (401, json!("unauthorized")), "{path}");
    }
    for (name, value, wanted) in [
        ("authorization", "Bearer a-key-of-16-byteS", 401),
        ("authorization", "Basic a-key-of-16-bytes", 401),
        ("authorization", "Bear", 401),
        ("authorization", "Bearer a-key-of-16-bytes", 200),
        ("authorization", "bearer a-key-of-16-bytes", 200),
        ("authorization", "BEARER  a-key-of-16-bytes", 200),
        ("x-api-key", "a-key-of-16-bytes", 200),
    ] {
        assert_eq!(status(&served, "GET", "/v1/model", &[(name, value)]).await.0, wanted, "{name}: {value}");
    }
    for open in ["/health/live", "/health/ready", "/openapi.json"] {
        assert_eq!(served.get(open).await.0, 200, "{open}");
    }
    // A key comes from no page of another site by itself, so where pages are from does not matter.
    let headers = [("x-api-key", KEY), ("host", "shop.example"), ("origin", "https://other.example")];
    assert_eq!(status(&served, "GET", "/v1/model", &headers).await.0, 200);
    assert_eq!(status(&served, "POST", "/v1/model/reload", &headers).await.0, 200);
}

fn keys(file: &str) -> Keys {
    let mut keys = Keys::default();
    keys.add_file(file).unwrap();
    keys
}

#[tokio::test]
async fn keys_are_good_for_their_scopes() {
    let file = "reader read 0123456789abcdef\nwriter write fedcba9876543210\noffice admin aaaabbbbccccdddd";
    let served = Served::with_app("popularity", |app| app.keys = keys(file).into()).await;
    let json = ("content-type", "application/json");
    for (method, path, by_reader, by_writer, by_office) in [
        ("GET", "/v1/users/4/recommendations", 200, 403, 200),
        ("HEAD", "/v1/users/4/recommendations", 200, 403, 200),
        ("POST", "/v1/recommendations", 422, 403, 422),
        ("GET", "/v1/users/4/history", 200, 403, 200),
        ("POST", "/v1/events", 403, 422, 422),
        ("DELETE", "/v1/users/4", 403, 403, 200),
        ("POST", "/v1/model/reload", 403, 403, 200),
        // Any key will do.
        ("GET", "/metrics", 200, 200, 200),
        ("GET", "/nowhere", 404, 404, 404),
    ] {
        let keys = ["0123456789abcdef", "fedcba9876543210", "aaaabbbbccccdddd"];
        for (key, wanted) in keys.into_iter().zip([by_reader, by_writer, by_office]) {
            let response = answer(&served, method, path, &[("x-api-key", key), json]).await;
            assert_eq!(response.status().as_u16(), wanted, "{method} {path} with {key}");
        }
    }
    let (_, body) = served.send(request("GET", "/v1/model", &[("x-api-key", "fedcba9876543210")])).await;
    assert_eq!(
        (&body["error"]["code"], body["error"]["message"].as_str().unwrap().contains("scope read")),
        (&json!("forbidden"), true)
    );
    // No route of people and models is forgotten.
    let document = serde_json::to_value(router::document()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let scope = operation["security"][0]["key"][0].as_str();
            assert_eq!(scope.is_some(), path.starts_with("/v1"), "{method} {path}: {scope:?}");
        }
    }
}

#[tokio::test]
async fn a_server_without_a_key_is_none_of_other_sites_business() {
    let served = Served::with_app("popularity", |app| app.origins.local = true).await;
    let rebound =
        [("host", "evil.example"), ("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")];
    for (method, path) in
        [("GET", "/v1/users/4/history"), ("DELETE", "/v1/users/4"), ("GET", "/metrics"), ("GET", "/")]
    {
        assert_eq!(
            status(&served, method, path, &rebound).await,
            (421, json!("unknown_host")),
            "{method} {path}"
        );
    }
    // Load balancers and supervisors call it as they like.
    assert_eq!(status(&served, "GET", "/health/live", &rebound).await.0, 200);
    let other =
        [("host", "127.0.0.1:8080"), ("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")];
    for (method, path) in [("GET", "/v1/users/4/history"), ("DELETE", "/v1/users/4"), ("GET", "/metrics")] {
        assert_eq!(
            status(&served, method, path, &other).await,
            (403, json!("cross_site")),
            "{method} {path}"
        );
    }
    // A link to the page is fine.
    let link = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
    assert_eq!(status(&served, "GET", "/", &link).await.0, 200);
    // Browsers too old to say where a form comes from.
    let form = [("content-type", "text/plain")];
    assert_eq!(status(&served, "POST", "/v1/model/reload", &form).await, (415, json!("media_type")));
    assert_eq!(
        status(&served, "POST", "/v1/model/reload", &[("content-type", "application/json")]).await.0,
        200
    );
}

#[tokio::test]
async fn a_request_has_one_host() {
    let served = Served::new("popularity").await;
    let two = request("GET", "/v1/model", &[("host", "localhost"), ("host", "localhost")]);
    assert_eq!(served.send(two).await.0, 400);
    let none = served.router.clone().oneshot(request("GET", "/v1/model", &[])).await.unwrap();
    assert_eq!(none.status().as_u16(), 400);
}

#[tokio::test]
async fn sites_that_are_named_may_ask_from_browsers() {
    let shop = ("origin", "https://shop.example");
    let served = Served::with_app("popularity", |app| {
        app.origins = Origins { local: true, hosts: Vec::new(), sites: vec!["https://shop.example".into()] };
        app.keys = Keys::admin(KEY).unwrap().into();
    })
    .await;
    let preflight = [
        shop,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-api-key,content-type"),
    ];
    let allowed = |response: &Response<Body>| {
        response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|v| v.to_str().unwrap().to_string())
    };
    let response = answer(&served, "OPTIONS", "/v1/events", &preflight).await;
    assert_eq!(
        (response.status().as_u16(), allowed(&response).as_deref()),
        (200, Some("https://shop.example"))
    );
    // Refusals can be read, too.
    let response = answer(&served, "GET", "/v1/model", &[shop]).await;
    assert_eq!(
        (response.status().as_u16(), allowed(&response).as_deref()),
        (401, Some("https://shop.example"))
    );
    let response =
        answer(&served, "GET", "/v1/model", &[("origin", "https://evil.example"), ("x-api-key", KEY)]).await;
    assert_eq!(allowed(&response), None);
    let nobody = Served::new("popularity").await;
    let response = answer(&nobody, "GET", "/health/live", &[shop]).await;
    assert_eq!((response.status().as_u16(), allowed(&response)), (200, None), "none by default");
}

#[tokio::test]
async fn those_who_ask_too_often_are_told_when_to_come_again() {
    let served = Served::with_app("popularity", |app| {
        app.rate = Some(Rate::new(1));
        app.keys = keys("a read 0123456789abcdef\nb read fedcba9876543210").into();
    })
    .await;
    let by = |key: &'static str| {
        let served = &served;
        async move { answer(served, "GET", "/v1/model", &[("x-api-key", key)]).await }
    };
    assert_eq!(by("0123456789abcdef").await.status().as_u16(), 200);
    assert_eq!(by("0123456789abcdef").await.status().as_u16(), 200);
    let refused = by("0123456789abcdef").await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()[header::RETRY_AFTER]),
        (429, &"1".parse().unwrap())
    );
    assert_eq!(by("fedcba9876543210").await.status().as_u16(), 200, "another key has its own rate");
    // Who tries keys has the rate of an address.
    let tried =
        [by("wrong-wrong-wrong").await, by("wronger-than-wrong").await, by("wrongest-of-all-keys").await];
    assert_eq!(tried.map(|response| response.status().as_u16()), [401, 401, 429]);
    assert_eq!(served.get("/health/live").await.0, 200);
}
