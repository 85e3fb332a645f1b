//! The routes without a socket: right requests, wrong ones, and what changes what.

#[cfg(feature = "postgres")]
pub(super) mod cluster;
mod connections;
mod disk;
#[allow(dead_code)]
#[path = "../../../tests/cli/world.rs"]
mod files;
mod index;
mod overview;
mod pages;
mod people;
mod refused;
mod rules;
mod search;
mod shelf;
mod swap;
mod trials;
mod welcome;

use std::path::Path;
use std::sync::Arc;

use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use alike::train::{TrainRequest as Training, fit};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::index::IndexChoice;
use super::limits::Limits;
use super::model::ReloadableModel;
use super::router::router;
use super::state::App;
use super::store::{Options, Store, StoreAddress};

/// A run on the small data set, where user `u` takes items that are even as they are, and its server.
struct Served {
    files: Arc<files::World>,
    app: Arc<App>,
    router: Router,
}

impl Served {
    /// A server of `model`.
    async fn new(model: &'static str) -> Self {
        Self::with_app(model, |_| ()).await
    }

    /// A server of `model` with other parts or limits.
    async fn with_app(model: &'static str, change: impl FnOnce(&mut App)) -> Self {
        Self::trained(model, 60, change).await
    }

    /// A server of `model`, trained for so many epochs, with other parts or limits.
    async fn trained(model: &'static str, epochs: i64, change: impl FnOnce(&mut App)) -> Self {
        Self::made(model, epochs, Limits::default(), change).await
    }

    /// The same with other limits.
    async fn made(model: &'static str, epochs: i64, limits: Limits, change: impl FnOnce(&mut App)) -> Self {
        let files = files::World::new();
        std::fs::create_dir(files.path("pictures")).unwrap();
        std::fs::write(files.path("pictures/0.png"), b"a picture").unwrap();
        prepare(&PrepareOptions {
            features: vec![("text".into(), files.path("text.npy"))],
            items: Some(files.path("items.jsonl")),
            split: SplitKind::Label,
            ..PrepareOptions::new(files.path("log.inter"), files.path("data"))
        })
        .unwrap();
        train(&files.path("data"), &files.path("run"), model, epochs);
        let store = Store::open(&place(&files), Options::default()).await.unwrap();
        let mut app = App::new(
            ReloadableModel::open(&files.path("run"), IndexChoice::Exact.into()).unwrap(),
            store,
            limits,
        )
        .unwrap();
        change(&mut app);
        let app = Arc::new(app);
        Self { files: Arc::new(files), router: router(app.clone()), app }
    }

    /// A server of the run in `files` with an index; servers of the same files share their events.
    async fn open(files: Arc<files::World>, index: IndexChoice) -> Self {
        let run = files.path("run");
        let slot = tokio::task::spawn_blocking(move || ReloadableModel::open(&run, index.into()))
            .await
            .unwrap()
            .unwrap();
        let store = Store::open(&place(&files), Options::default()).await.unwrap();
        let app = Arc::new(App::new(slot, store, Limits::default()).unwrap());
        Self { files, router: router(app.clone()), app }
    }

    /// Sends a request; status and body, which is JSON unless it is a picture.
    async fn send(&self, mut request: Request<Body>) -> (u16, Value) {
        let host = header::HeaderValue::from_static("localhost");
        request.headers_mut().entry(header::HOST).or_insert(host);
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert!(response.headers().contains_key("x-request-id"));
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(text));
        if status >= 400 {
            let error = &body["error"];
            assert!(error["code"].is_string() && error["message"].is_string(), "{status}: {body}");
            assert!(!error["message"].as_str().unwrap().contains('\n'), "{body}");
        }
        (status, body)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_text(path, &body.to_string()).await
    }

    async fn post_text(&self, path: &str, body: &str) -> (u16, Value) {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// The answer to a request that must be served.
    async fn got(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The same with a body.
    async fn posted(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, &body).await;
        assert_eq!(status, 200, "{path} {body}: {answer}");
        answer
    }

    /// A request with a body that must be served.
    async fn sent(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.asked(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    async fn asked(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Lines of JSON.
    async fn lines(&self, lines: &[Value]) -> (u16, Value) {
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let request = Request::post("/v1/items").header(header::CONTENT_TYPE, "application/x-ndjson");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// A single event.
    async fn event(&self, user: &str, item: &str, kind: &str) {
        let done = self.posted("/v1/events", json!({ "user": user, "item": item, "kind": kind })).await;
        assert_eq!(done["written"], 1);
    }

    /// Ids of the items recommended to `user`, with `more` parameters.
    async fn list(&self, user: &str, more: &str) -> Vec<String> {
        items(&self.got(&format!("/v1/users/{user}/recommendations?top=30{more}")).await)
    }
}

/// Trains `model` for at most so many epochs, going on where an earlier training stopped.
fn train(data: &Path, run: &Path, model: &'static str, epochs: i64) {
    let data = Dataset::open(data).unwrap();
    let known = alike::models::find(model).unwrap().settings();
    let mut settings = toml::Table::new();
    for (name, value) in [("dim", 8), ("batch", 64), ("epochs", epochs)] {
        if known.iter().any(|s| s.name == name) {
            settings.insert(name.into(), toml::Value::Integer(value));
        }
    }
    let resume = run.exists();
    if known.iter().any(|s| s.name == "lr") {
        settings.insert("lr".into(), toml::Value::Float(0.02));
    }
    let request = Training {
        model,
        settings,
        seed: 3,
        run: Some(run),
        resume,
        warm_start: None,
        test: false,
        devices: vec![alike::device::DeviceName::default()],
        progress: &(),
    };
    fit(&data, &request, &mut |_| ()).unwrap();
}

/// Where the events of a server over `files` are kept.
fn place(files: &files::World) -> StoreAddress {
    StoreAddress::File(files.path("store/events.sqlite"))
}

/// Ids of a list of items.
fn items(body: &Value) -> Vec<String> {
    let list = body["items"].as_array().unwrap().iter();
    list.map(|i| i["item"].as_str().unwrap().to_string()).collect()
}

fn is_even(item: &str) -> bool {
    item.parse::<u32>().unwrap().is_multiple_of(2)
}
