//! The routes, their description, and what every request passes through.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{ApiError, ErrorBody};
use super::keys::API_KEY;
use super::middleware::{self, Guard, REQUEST_ID};
use super::routes::{changes, events, items, model, overview, page, pages, recommend, search, status, users};
use super::state::App;

/// All routes and their description.
fn described() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(outline())
        .routes(routes!(recommend::of_user))
        .routes(routes!(recommend::of_anybody))
        .routes(routes!(recommend::of_many))
        .routes(routes!(pages::page))
        .routes(routes!(pages::trials))
        .routes(routes!(pages::scenarios))
        .routes(routes!(users::similar))
        .routes(routes!(users::history))
        .routes(routes!(users::find))
        .routes(routes!(users::forget))
        .routes(routes!(items::find, changes::bulk))
        .routes(routes!(items::one, changes::put, changes::patch, changes::remove))
        .routes(routes!(items::similar))
        .routes(routes!(items::image))
        .routes(routes!(overview::takers))
        .routes(routes!(overview::attributes))
        .routes(routes!(overview::overview))
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
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(headers)
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
        .max_age(Duration::from_secs(600))
}

/// Every route over `app`. Needs no socket.
pub(crate) fn router(app: Arc<App>) -> Router {
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
        ApiError::internal("a route panicked").into_response()
    };
    let router = router
        .route("/", get(page::index))
        .route("/page/{file}", get(page::part))
        .route("/openapi.json", get(async move || document))
        .fallback(async || {
            ApiError::new(StatusCode::NOT_FOUND, "unknown_path", "no such path; /openapi.json has them all")
        })
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path does not know that method")
        })
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(DefaultBodyLimit::max(app.limits.max_body))
        .layer(from_fn_with_state(guard, middleware::handle));
    // Outside the guard: browsers ask what they may ask before they send a key, and read why they were
    // refused.
    let router = if app.origins.sites.is_empty() { router } else { router.layer(cors(&app.origins.sites)) };
    router.layer(from_fn_with_state(app.clone(), middleware::last_request)).with_state(app)
}
