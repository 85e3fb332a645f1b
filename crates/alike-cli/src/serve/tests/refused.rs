//! What is not served, and how that is said.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::json;

use super::Served;
use crate::serve::keys::Keys;
use crate::serve::places::Places;
use crate::serve::router;

/// What an error says: status, code, and a part of the message.
async fn refused(served: &Served, path: &str, body: Option<&str>, status: u16, code: &str, says: &str) {
    let (found, answer) = match body {
        Some(body) => served.post_text(path, body).await,
        None => served.get(path).await,
    };
    assert_eq!((found, answer["error"]["code"].as_str()), (status, Some(code)), "{path} {body:?}: {answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(says), "{path} {body:?}: {message}");
}

#[tokio::test]
async fn wrong_values_say_what_is_allowed() {
    let served = Served::new("popularity").await;
    for (path, says) in [
        ("/v1/users/4/recommendations?top=0", "`top` is 0; allowed: 1..=1000"),
        ("/v1/users/4/recommendations?top=1001", "`top` is 1001; allowed: 1..=1000"),
        ("/v1/users/4/recommendations?top=many", "top"),
        ("/v1/users/4/recommendations?top=99999999999999999999999", "top"),
        ("/v1/users/4/recommendations?diversity=2", "`diversity` is 2; allowed: 0..=1"),
        ("/v1/users/4/recommendations?diversity=NaN", "`diversity` is NaN; allowed: 0..=1"),
        ("/v1/users/4/recommendations?reasons=11", "`reasons` is 11; allowed: 0..=10"),
        ("/v1/users/4/recommendations?category=none", "`category` is none; allowed: all, even, odd"),
        ("/v1/users/4/recommendations?model=compare", "allowed: main"),
        ("/v1/users/4/recommendations?model=third", "expected `main` or `compare`"),
        ("/v1/users/4/recommendations?tops=3", "unknown field `tops`"),
        ("/v1/users/4/similar?top=0", "1..=1000"),
        ("/v1/users/%00/history", "printable"),
        ("/v1/users?top=0", "1..=1000"),
        ("/v1/items?top=0", "1..=1000"),
        ("/v1/items?query=%07", "printable"),
        ("/v1/items/3/similar", "no item vectors"),
    ] {
        refused(&served, path, None, 422, "invalid", says).await;
    }
    for (path, body, says) in [
        ("/v1/recommendations", "{}", "either `user` or `items`"),
        ("/v1/recommendations", r#"{"user": "4", "items": ["1"]}"#, "either `user` or `items`"),
        ("/v1/recommendations", r#"{"user": 4}"#, "expected a string"),
        ("/v1/recommendations", r#"{"user": "4", "tops": 3}"#, "unknown field `tops`"),
        ("/v1/recommendations", r#"{"user": "4", "top": -1}"#, "top"),
        ("/v1/events", r#"{"events": []}"#, "allowed: 1..=1000"),
        ("/v1/events", "[]", "invalid length 0, expected struct NewEvent"),
        (
            "/v1/events",
            r#"{"user": "4", "item": "1", "kind": "buy"}"#,
            "unknown variant `buy`, expected one of `take`, `like`",
        ),
        ("/v1/events", r#"["4", "1", "take", null, null]"#, "not an object"),
        ("/v1/events", r#"{"user": "4", "item": "1"}"#, "missing field `kind`"),
        (
            "/v1/events",
            r#"{"user": "4", "item": "1", "user": "5", "kind": "take"}"#,
            "duplicate field `user`",
        ),
        ("/v1/recommendations", r#"{"user": "4", "user": "5"}"#, "duplicate field `user`"),
        (
            "/v1/events",
            r#"{"user": "4", "item": "1", "kind": "take", "time": -1}"#,
            "`time` is -1; allowed: 0..=",
        ),
        ("/v1/events", r#"{"user": "", "item": "1", "kind": "take"}"#, "`user` has 0 characters"),
        ("/v1/events", r#"{"user": "a\u0000b", "item": "1", "kind": "take"}"#, "printable"),
        ("/v1/items/search", "{}", "is needed"),
        ("/v1/items/search", r#"{"features": [1, 2], "modality": "text"}"#, "are 6 finite values, not 2"),
        ("/v1/items/search", r#"{"features": [1], "modality": "smell"}"#, "the data have: text"),
    ] {
        refused(&served, path, Some(body), 422, "invalid", says).await;
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let served = Served::new("popularity").await;
    for (path, code, says) in [
        ("/v1/users/nobody/recommendations", "unknown_user", "`nobody`"),
        ("/v1/users/nobody/history", "unknown_user", "`nobody`"),
        ("/v1/users/nobody/similar", "unknown_user", "`nobody`"),
        ("/v1/items/nothing", "unknown_item", "`nothing`"),
        ("/v1/items/nothing/similar", "unknown_item", "`nothing`"),
        ("/v1/items/..%2F..%2Fetc%2Fpasswd/image", "unknown_item", "`../../etc/passwd`"),
        ("/v1/items/7/image", "no_image", "`7`"),
        ("/v2", "unknown_path", "/openapi.json"),
        ("/v1/users/4/../4", "unknown_path", ""),
    ] {
        refused(&served, path, None, 404, code, says).await;
    }
    for (path, body) in [
        ("/v1/recommendations", json!({ "user": "nobody" })),
        ("/v1/recommendations", json!({ "items": ["nothing"] })),
        ("/v1/events", json!({ "user": "4", "item": "nothing", "kind": "take" })),
    ] {
        refused(
            &served,
            path,
            Some(&body.to_string()),
            404,
            if body["user"] == "nobody" { "unknown_user" } else { "unknown_item" },
            "no",
        )
        .await;
    }
    refused(&served, "/v1/users", Some("{}"), 405, "method", "method").await;
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_large() {
    let served = Served::with_app("popularity", |app| app.limits.max_body = 2000).await;
    for body in ["", "{", "{\"user\": ", "nul", "\u{0}"] {
        refused(&served, "/v1/recommendations", Some(body), 400, "malformed", "").await;
    }
    let deep = format!("{{\"events\": {}", "[".repeat(1500));
    refused(&served, "/v1/events", Some(&deep), 400, "malformed", "recursion limit").await;
    let large = format!("{{\"user\": \"{}\"}}", "x".repeat(2000));
    refused(&served, "/v1/recommendations", Some(&large), 413, "too_large", "").await;
    let plain = Request::post("/v1/events").header(header::CONTENT_TYPE, "text/plain");
    let (status, body) = served.send(plain.body(Body::from("{}")).unwrap()).await;
    assert_eq!((status, &body["error"]["code"]), (415, &json!("media_type")));
    let broken = Request::post("/v1/events").header(header::CONTENT_TYPE, "application/json");
    let (status, _) = served.send(broken.body(Body::from(&b"{\"user\": \"\xff\"}"[..])).unwrap()).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn too_much_at_once_is_refused() {
    let served = Served::with_app("popularity", |app| app.requests = Places::new(0, 0)).await;
    refused(&served, "/v1/model", None, 503, "busy", "try again").await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lost_its_file_is_said_to_have() {
    let served = Served::new("popularity").await;
    served.event("x", "3", "take").await;
    assert_eq!(served.get("/health/ready").await.0, 200);
    let file = served.files.path("store/events.sqlite");
    std::fs::rename(&file, served.files.path("aside")).unwrap();
    let event = json!({ "user": "x", "item": "5", "kind": "take" }).to_string();
    refused(&served, "/v1/events", Some(&event), 503, "store", "moved, replaced or deleted").await;
    refused(&served, "/v1/users/x/recommendations", None, 503, "store", "moved, replaced or deleted").await;
    refused(&served, "/health/ready", None, 503, "store", "Put it back").await;
    assert_eq!(served.get("/health/live").await.0, 200);
    std::fs::rename(served.files.path("aside"), &file).unwrap();
    served.event("x", "5", "take").await;
    assert_eq!(served.got("/v1/users/x/history").await["count"], 2);
    assert_eq!(served.get("/health/ready").await.0, 200);
}

#[tokio::test]
async fn bodies_that_do_not_end_are_not_waited_for() {
    let served =
        Served::with_app("popularity", |app| app.limits.request_timeout = Duration::from_millis(50)).await;
    let never = never_coming();
    let request =
        Request::post("/v1/events").header(header::CONTENT_TYPE, "application/json").body(never).unwrap();
    let (status, body) = served.send(request).await;
    assert_eq!((status, &body["error"]["code"]), (408, &json!("timeout")));
}

/// A body of which nothing ever comes.
fn never_coming() -> Body {
    struct Never;
    impl hyper::body::Body for Never {
        type Data = axum::body::Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
    Body::new(Never)
}

#[tokio::test]
async fn the_document_describes_what_there_is() {
    let served = Served::new("popularity").await;
    let document = served.got("/openapi.json").await;
    assert!(!document["paths"].to_string().contains("security"), "no key is asked for");
    let keyed =
        Served::with_app("popularity", |app| app.keys = Keys::admin("a-key-of-16-bytes").unwrap().into())
            .await;
    assert_eq!(keyed.got("/openapi.json").await, serde_json::to_value(router::document()).unwrap());
    let mut found = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            found += 1;
            let filled = path.replace("{user}", "4").replace("{item}", "0");
            let request = Request::builder().method(method.to_uppercase().as_str()).uri(&filled);
            let (status, body) = served.send(request.body(Body::empty()).unwrap()).await;
            assert!(body["error"]["code"] != "unknown_path" && status != 405, "{method} {path}: {body}");
            let described = &operation["responses"][status.to_string()];
            assert!(described.is_object(), "{method} {path}: {status} is not described");
            assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{method} {path}");
        }
    }
    assert_eq!(found, 29);
    // Every schema that is named is there.
    let text = document.to_string();
    for named in text.split("#/components/schemas/").skip(1) {
        let name = named.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn pictures_come_from_their_folder_only() {
    let served = Served::new("popularity").await;
    assert_eq!(served.get("/v1/items/0/image").await, (200, json!("a picture")));
    assert_eq!(served.got("/v1/items/0").await["image"], "/v1/items/0/image");
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.png"), b"secret").unwrap();
    let link = |item: &str| served.files.path(&format!("pictures/{item}.png"));
    std::os::unix::fs::symlink(outside.path().join("secret.png"), link("1")).unwrap();
    refused(&served, "/v1/items/1/image", None, 404, "no_image", "`1`").await;
    // A link that stays inside is fine.
    std::os::unix::fs::symlink(link("0"), link("2")).unwrap();
    assert_eq!(served.get("/v1/items/2/image").await.0, 200);
    // Not a picture by its name.
    std::fs::write(served.files.path("pictures/page.html"), b"<script>").unwrap();
    std::os::unix::fs::symlink(served.files.path("pictures/page.html"), link("3")).unwrap();
    refused(&served, "/v1/items/3/image", None, 404, "no_image", "`3`").await;
}
