//! The routes and what they share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Answer, ErrorBody, Refusal};
use super::encoder::Encoder;
use super::guard;
use super::metrics::Metrics;
use super::model::{Loaded, Slot};
use super::people::{self, Now};
use super::ranking::Ranking;
use super::routes::{events, items, model, page, recommend, search, status, users};
use super::store::Store;

/// Requests that are answered at a time; more are refused at once.
const ADMITTED: usize = 512;
/// Longest time that a request may take, its body included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the routes share.
pub(crate) struct App {
    /// The run that answers.
    pub(crate) main: Slot,
    /// Another one to compare it with.
    pub(crate) compare: Option<Slot>,
    /// Events.
    pub(crate) store: Store,
    /// The thread that ranks.
    pub(crate) ranking: Ranking,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
    /// What turns texts and pictures into features.
    pub(crate) encoder: Option<Arc<dyn Encoder>>,
    /// Hash of the API key, if one is asked for.
    pub(crate) key: Option<blake3::Hash>,
    /// Bytes of a body at most.
    pub(crate) max_body: usize,
    /// Longest time that a request may take.
    pub(crate) patience: Duration,
    /// Milliseconds since 1970.
    pub(crate) clock: fn() -> i64,
    /// Places for requests.
    pub(crate) admitted: Semaphore,
    /// Places for work that takes a processor for long.
    workers: Arc<Semaphore>,
    /// False once the server has begun to stop.
    ready: AtomicBool,
    requests: AtomicU64,
    /// Tells the request numbers of this process from those of others.
    process: String,
}

/// Which of the loaded models is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Which {
    /// The one that is served.
    #[default]
    Main,
    /// The one given with `--compare`.
    Compare,
}

impl App {
    /// Puts the parts together, with the limits of a server on one machine.
    pub(crate) fn new(main: Slot, store: Store) -> std::io::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        metrics.model_version.set(main.current().version as i64);
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            main,
            compare: None,
            store,
            ranking: Ranking::start(metrics.clone())?,
            metrics,
            encoder: None,
            key: None,
            max_body: 1 << 20,
            patience: PATIENCE,
            clock: system_clock,
            admitted: Semaphore::new(ADMITTED),
            workers: Arc::new(Semaphore::new(workers)),
            ready: AtomicBool::new(true),
            requests: AtomicU64::new(0),
            process: process(),
        })
    }

    /// The checkpoint that answers for `which`.
    pub(crate) fn model(&self, which: Which) -> Answer<Arc<Loaded>> {
        match (which, &self.compare) {
            (Which::Main, _) => Ok(self.main.current()),
            (Which::Compare, Some(slot)) => Ok(slot.current()),
            (Which::Compare, None) => Err(Refusal::invalid(
                "`model` is compare; allowed: main (the server was started without --compare)",
            )),
        }
    }

    /// Who `user` is now.
    pub(crate) async fn user(&self, model: &Loaded, user: &str) -> Answer<Now> {
        let events = self.store.of_user(user).await?;
        people::now(&model.serving, user, &events).ok_or_else(|| Refusal::unknown_user(user))
    }

    /// Does what takes a processor for long on a thread of its own, as many at a time as there are cores.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Answer<T> {
        let place = self.workers.clone().acquire_owned().await.map_err(Refusal::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|e| {
            if e.is_panic() {
                self.metrics.panics.inc();
            }
            Refusal::internal(e)
        })
    }

    /// Loads newer checkpoints and puts them in place; whether the main one changed.
    pub(crate) async fn refresh(self: &Arc<Self>) -> alike::Result<bool> {
        let app = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            if let Some(slot) = &app.compare {
                slot.refresh()?;
            }
            let changed = app.main.refresh()?;
            if changed {
                let version = app.main.current().version;
                app.metrics.swaps.inc();
                app.metrics.model_version.set(version as i64);
                tracing::info!(version, "a newer checkpoint answers");
            }
            Ok(changed)
        });
        done.await.unwrap_or_else(|e| Err(alike::Error::Data(format!("loading a checkpoint failed: {e}"))))
    }

    /// A number for a request.
    pub(crate) fn next_request(&self) -> String {
        format!("{}-{}", self.process, self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether requests are welcome.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// From now on load balancers are told to go elsewhere.
    pub(crate) fn stopping(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }
}

fn system_clock() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |passed| passed.as_millis() as i64)
}

/// Eight digits that differ from one process to the next.
fn process() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let hash = blake3::hash(format!("{} {}", now.as_nanos(), std::process::id()).as_bytes());
    hash.to_hex()[..8].to_string()
}

/// All routes and their description.
fn described() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(outline())
        .routes(routes!(recommend::of_user))
        .routes(routes!(recommend::of_anybody))
        .routes(routes!(users::similar))
        .routes(routes!(users::history))
        .routes(routes!(users::find))
        .routes(routes!(users::forget))
        .routes(routes!(items::find))
        .routes(routes!(items::one))
        .routes(routes!(items::similar))
        .routes(routes!(items::image))
        .routes(routes!(search::search))
        .routes(routes!(events::append))
        .routes(routes!(model::info))
        .routes(routes!(model::log))
        .routes(routes!(model::reload))
        .routes(routes!(status::live))
        .routes(routes!(status::ready))
        .routes(routes!(status::metrics))
}

/// The description without its routes.
fn outline() -> OpenApi {
    let info = InfoBuilder::new()
        .title("alike")
        .description(Some(
            "Recommendations of one trained run. Errors are `{\"error\": {\"code\", \"message\"}}`. Where the server was \
             started with an API key, send it as `Authorization: Bearer KEY` or `X-Api-Key: KEY`.",
        ))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    let mut outline = OpenApiBuilder::new().info(info).build();
    let components = outline.components.get_or_insert_with(Default::default);
    components.schemas.insert(ErrorBody::name().into(), ErrorBody::schema());
    let mut more = Vec::new();
    ErrorBody::schemas(&mut more);
    components.schemas.extend(more);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("key", SecurityScheme::Http(bearer));
    outline
}

/// The OpenAPI document of the routes.
pub(crate) fn document() -> OpenApi {
    described().into_openapi()
}

/// The document of a server that asks for no key.
fn without_key(mut document: OpenApi) -> OpenApi {
    for path in document.paths.paths.values_mut() {
        for operation in [&mut path.get, &mut path.post, &mut path.delete].into_iter().flatten() {
            operation.security = None;
        }
    }
    document
}

/// Every route over `app`. Needs no socket.
pub(crate) fn app(app: Arc<App>) -> Router {
    let (router, document) = described().split_for_parts();
    let document = if app.key.is_some() { document } else { without_key(document) };
    let counted = app.metrics.clone();
    let on_panic = move |_: Box<dyn std::any::Any + Send>| -> Response {
        counted.panics.inc();
        Refusal::internal("a route panicked").into_response()
    };
    router
        .route("/", get(page::index))
        .route("/page/{file}", get(page::part))
        .route("/openapi.json", get(async move || Json(document)))
        .fallback(async || {
            Refusal::new(StatusCode::NOT_FOUND, "unknown_path", "no such path; /openapi.json has them all")
        })
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path does not know that method")
        })
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(DefaultBodyLimit::max(app.max_body))
        .layer(axum::middleware::from_fn_with_state(app.clone(), guard::pass))
        .with_state(app)
}
