//! What machines ask about the server itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::error::{ApiError, ApiResult, ErrorBody, ErrorResponses};
use crate::serve::state::App;

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// Whether the process answers at all
#[utoipa::path(get, path = "/health/live", operation_id = "live",
    tag = "status",
    responses((status = 200, description = "It does", body = Health)))]
pub(crate) async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether requests are welcome: the model is loaded, events can be read and written, and the server is not
/// stopping
#[utoipa::path(get, path = "/health/ready", operation_id = "ready",
    tag = "status",
    responses((status = 200, description = "They are", body = Health),
        (status = 503, description = "They are not", body = ErrorBody)))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> ApiResult<Json<Health>> {
    if !app.is_ready() {
        let text = "the server is stopping";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", text));
    }
    app.store.ready().await?;
    Ok(Json(Health { status: "ok" }))
}

/// Counts, as Prometheus reads them
#[utoipa::path(get, path = "/metrics", operation_id = "metrics",
    tag = "status", security(("key" = [])),
    responses((status = 200, description = "The counts", body = String, content_type = "application/openmetrics-text"), ErrorResponses))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> ApiResult<impl IntoResponse> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], app.metrics.page().map_err(ApiError::internal)?))
}
