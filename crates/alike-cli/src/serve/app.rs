//! The routes and what they share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Answer, ErrorBody, Refusal};
use super::encoder::Encoder;
use super::guard::{self, API_KEY, Guard, REQUEST_ID};
use super::keys::Keys;
use super::limits::Limits;
use super::listen::Tls;
use super::metrics::Metrics;
use super::model::{Loaded, Slot};
use super::origin::Origins;
use super::people::{self, Now};
use super::places::Places;
use super::pool::Pool;
use super::ranking::Ranking;
use super::rate::Rate;
use super::routes::{events, items, model, page, recommend, search, status, users};
use super::store::Store;

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
    /// The keys that are asked for, if any.
    pub(crate) keys: Keys,
    /// From where browsers may ask.
    pub(crate) origins: Origins,
    /// What encrypts connections, if anything does.
    pub(crate) tls: Option<Tls>,
    /// How often one client may ask, if that is bounded.
    pub(crate) rate: Option<Rate>,
    /// What clients can take at most.
    pub(crate) limits: Limits,
    /// Milliseconds since 1970.
    pub(crate) clock: fn() -> i64,
    /// Places for requests.
    pub(crate) requests: Arc<Places>,
    /// Places for requests whose body is on its way.
    pub(crate) bodies: Arc<Places>,
    /// Work that takes a processor for some time.
    pub(crate) work: Pool,
    /// Work that takes it for long.
    pub(crate) long: Pool,
    /// Pictures, which also take memory.
    pub(crate) pictures: Pool,
    /// False once the server has begun to stop.
    ready: AtomicBool,
    /// Requests so far.
    numbered: AtomicU64,
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
    /// Puts the parts together.
    pub(crate) fn new(main: Slot, store: Store, limits: Limits) -> std::io::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        metrics.model_version.set(main.current().version as i64);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            main,
            compare: None,
            store,
            ranking: Ranking::start(metrics.clone())?,
            encoder: None,
            keys: Keys::default(),
            origins: Origins::default(),
            rate: None,
            tls: None,
            requests: Places::new(limits.requests, limits.requests),
            bodies: Places::new(limits.bodies, limits.bodies_of_one),
            work: Pool::new(cores, limits.waiting, metrics.panics.clone()),
            long: Pool::new(cores.div_ceil(2), limits.waiting_long, metrics.panics.clone()),
            pictures: Pool::new(cores.div_ceil(2).min(2), limits.waiting_pictures, metrics.panics.clone()),
            limits,
            clock: system_clock,
            ready: AtomicBool::new(true),
            numbered: AtomicU64::new(0),
            process: process(),
            metrics,
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
        format!("{}-{}", self.process, self.numbered.fetch_add(1, Ordering::Relaxed))
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
             started with API keys, send one as `Authorization: Bearer KEY` or `X-Api-Key: KEY`; what scope it needs, each \
             route says.",
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
fn without_keys(document: &mut serde_json::Value) {
    for operations in document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut()) {
        for operation in operations.as_object_mut().into_iter().flat_map(|methods| methods.values_mut()) {
            operation.as_object_mut().map(|operation| operation.remove("security"));
        }
    }
}

/// What the sites of `sites` may do from browsers.
fn cors(sites: &[String]) -> CorsLayer {
    let sites = sites.iter().filter_map(|site| site.parse().ok());
    let headers = [header::CONTENT_TYPE, header::AUTHORIZATION, API_KEY, REQUEST_ID];
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(sites))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(headers)
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(Duration::from_secs(600))
}

/// Every route over `app`. Needs no socket.
pub(crate) fn app(app: Arc<App>) -> Router {
    let (router, document) = described().split_for_parts();
    let mut document = serde_json::to_value(document).expect("texts and numbers are JSON");
    let guard = Arc::new(Guard::new(app.clone(), &document));
    if app.keys.is_empty() {
        without_keys(&mut document);
    }
    // Made once: it is open to everybody, and making it takes longer than most answers.
    let document = ([(header::CONTENT_TYPE, "application/json")], Bytes::from(document.to_string()));
    let counted = app.metrics.clone();
    let on_panic = move |_: Box<dyn std::any::Any + Send>| -> Response {
        counted.panics.inc();
        Refusal::internal("a route panicked").into_response()
    };
    let router = router
        .route("/", get(page::index))
        .route("/page/{file}", get(page::part))
        .route("/openapi.json", get(async move || document))
        .fallback(async || {
            Refusal::new(StatusCode::NOT_FOUND, "unknown_path", "no such path; /openapi.json has them all")
        })
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path does not know that method")
        })
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(DefaultBodyLimit::max(app.limits.max_body))
        .layer(from_fn_with_state(guard, guard::pass));
    // Outside the guard: browsers ask what they may ask before they send a key, and read why they were refused.
    let router = if app.origins.sites.is_empty() { router } else { router.layer(cors(&app.origins.sites)) };
    router.layer(from_fn_with_state(app.clone(), guard::last_request)).with_state(app)
}
