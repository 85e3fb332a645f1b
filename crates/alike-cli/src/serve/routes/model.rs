//! The model: what it is, how it was trained, and a newer one in its place.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::serve::error::{ApiError, ApiResult, ErrorResponses};
use crate::serve::extract::{Query, json_type};
use crate::serve::model::ModelSnapshot;
use crate::serve::state::{App, Which};

/// Which model.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ModelParams {
    /// Which model.
    #[param(inline)]
    model: Which,
}

/// What answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelInfo {
    /// Name of the model.
    name: String,
    /// Counts the checkpoints that this server has loaded, from 1.
    version: u64,
    /// Hash of the checkpoint's content.
    checkpoint: String,
    /// Settings it was trained with.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    settings: serde_json::Value,
    /// Seed it was trained with.
    seed: u64,
    /// Name of the data.
    data: String,
    /// Number of users that it was trained on.
    users: usize,
    /// Number of items.
    items: usize,
    /// Number of training interactions.
    interactions: usize,
    /// Modalities of the data, with the width of their features.
    modalities: Vec<Modality>,
    /// Categories of the catalogue, in lower case.
    categories: Vec<String>,
    /// What the training came to, when it is finished: metrics on validation and test.
    #[schema(value_type = Option<BTreeMap<String, serde_json::Value>>)]
    summary: Option<serde_json::Value>,
    /// Whether a second model can be compared with.
    compare: bool,
    /// What can be searched by: `text`, `image`.
    encoders: Vec<&'static str>,
    /// Kind of the store of events.
    store: &'static str,
    /// Where candidates come from: `exact` (every item is scored), `hnsw`, `postgres`.
    index: &'static str,
}

/// A modality.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Modality {
    /// Its name.
    name: String,
    /// Values per item.
    dim: usize,
}

/// What answers
#[utoipa::path(get, path = "/v1/model", operation_id = "model",
    tag = "model", security(("key" = ["read"])), params(ModelParams),
    responses((status = 200, description = "The model", body = ModelInfo), ErrorResponses))]
pub(crate) async fn info(
    State(app): State<Arc<App>>,
    Query(params): Query<ModelParams>,
) -> ApiResult<Json<ModelInfo>> {
    let model = app.model(params.model)?;
    let (compare, store) = (app.compare.is_some(), app.store.kind());
    let (texts, pictures) = app.encoder.as_ref().map_or((false, false), |e| e.takes());
    let encoders = [("text", texts), ("image", pictures)].into_iter().filter(|e| e.1).map(|e| e.0).collect();
    let work = move || -> alike::Result<ModelInfo> {
        let run = model.recommender.run();
        let data = &run.data;
        let json = |e: serde_json::Error| alike::Error::Data(format!("JSON: {e}"));
        let modalities =
            data.features.iter().map(|f| Modality { name: f.name.clone(), dim: f.dim }).collect();
        Ok(ModelInfo {
            name: run.model.clone(),
            version: model.version,
            checkpoint: model.checkpoint().to_string(),
            settings: serde_json::to_value(&run.settings).map_err(json)?,
            seed: run.seed,
            data: data.name.clone(),
            users: data.users.len(),
            items: data.items.len(),
            interactions: data.train.nnz(),
            modalities,
            categories: model.shelf.categories(usize::MAX),
            summary: run.summary()?.map(serde_json::to_value).transpose().map_err(json)?,
            compare,
            encoders,
            store,
            index: model.index.kind(),
        })
    };
    Ok(Json(app.work.run(work).await??))
}

/// The learning curve
///
/// One entry per epoch, as `log.jsonl` of the run folder has them; none for models that are solved at once.
#[utoipa::path(get, path = "/v1/model/log", operation_id = "model_log",
    tag = "model", security(("key" = ["read"])), params(ModelParams),
    responses((status = 200, description = "The epochs", body = Vec<BTreeMap<String, serde_json::Value>>), ErrorResponses))]
pub(crate) async fn log(
    State(app): State<Arc<App>>,
    Query(params): Query<ModelParams>,
) -> ApiResult<Json<Vec<alike::train::EpochRecord>>> {
    let model: Arc<ModelSnapshot> = app.model(params.model)?;
    Ok(Json(app.work.run(move || model.recommender.run().log()).await??))
}

/// What a reload did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reloaded {
    /// Whether there was a newer checkpoint.
    changed: bool,
    /// The checkpoint that answers now.
    version: u64,
}

/// Look for a newer checkpoint now
///
/// It is loaded beside the one that answers and then takes its place; requests in flight keep theirs. If it
/// cannot be loaded, the old one stays. A request without a key has the content type `application/json` (a
/// body is not needed): so no form of another site can send it.
#[utoipa::path(post, path = "/v1/model/reload", operation_id = "reload_model",
    tag = "model", security(("key" = ["admin"])),
    responses((status = 200, description = "The newest checkpoint answers", body = Reloaded), ErrorResponses))]
pub(crate) async fn reload(State(app): State<Arc<App>>, headers: HeaderMap) -> ApiResult<Json<Reloaded>> {
    if app.keys.is_empty() {
        json_type(&headers)?;
    }
    let changed = app.refresh().await.map_err(|error| {
        tracing::error!(%error, "the newer checkpoint was not loaded; the old one goes on");
        let text = "the newer checkpoint cannot be loaded, the old one goes on; the log says why";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "checkpoint", text)
    })?;
    Ok(Json(Reloaded { changed, version: app.main.current().version }))
}
