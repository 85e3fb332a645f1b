//! Items by what they look like or what is said of them: for something that the catalogue does not have yet.

use std::sync::Arc;

use alike::scorer::best;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{StatusCode, header};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::views::{MAX_LISTED, RankedItems};
use crate::serve::encoder::Encoded;
use crate::serve::error::{ApiError, ApiResult, ErrorResponses};
use crate::serve::extract::{Body, Query, bytes, whole, within};
use crate::serve::state::{App, Which};

/// Longest text, in bytes.
const TEXT: usize = 10_000;

/// What to look for: `text`, or `features` of a `modality`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Search {
    /// A text, for the encoder.
    text: Option<String>,
    /// A feature vector, as wide as those of the data.
    features: Option<Vec<f32>>,
    /// The modality of `features`.
    modality: Option<String>,
    /// Number of items.
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    #[serde(deserialize_with = "whole")]
    top: usize,
    /// Which model's data.
    model: Which,
}

impl Default for Search {
    fn default() -> Self {
        Self { text: None, features: None, modality: None, top: 10, model: Which::Main }
    }
}

/// For pictures, whose body has no room for it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PictureParams {
    /// Number of items when the body is a picture.
    #[param(minimum = 1, maximum = 1000, default = 10)]
    top: usize,
}

impl Default for PictureParams {
    fn default() -> Self {
        Self { top: 10 }
    }
}

/// What somebody brought.
enum Brought {
    Text(String),
    Picture(Bytes),
}

/// Items nearest to a text, a picture or a feature vector
///
/// A picture is the whole body, with its content type. Texts and pictures need an encoder (error
/// `no_encoder`).
#[utoipa::path(post, path = "/v1/items/search", operation_id = "search_items",
    tag = "items", security(("key" = ["read"])), params(PictureParams),
    request_body(content((Search = "application/json"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"))),
    responses((status = 200, description = "The list, with cosines of features", body = RankedItems), ErrorResponses))]
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    Query(PictureParams { top }): Query<PictureParams>,
    request: Request,
) -> ApiResult<Json<RankedItems>> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("image/")) {
        // Before it is read: a picture that would have to wait for too many others need not be sent.
        if app.pictures.is_full() {
            return Err(ApiError::busy());
        }
        let bytes = bytes(request, &app).await?;
        let encoded = encode(&app, Brought::Picture(bytes)).await?;
        return nearest(&app, Which::Main, encoded, top).await;
    }
    let Body(search) = Body::<Search>::from_request(request, &app).await?;
    let encoded = match (search.text, search.features, search.modality) {
        (Some(text), None, None) => {
            within("length of `text`", text.len(), 1, TEXT)?;
            encode(&app, Brought::Text(text)).await?
        }
        (None, Some(features), Some(modality)) => Encoded { modality, features },
        _ => return Err(ApiError::invalid("either `text`, or `features` with their `modality`, is needed")),
    };
    nearest(&app, search.model, encoded, search.top).await
}

async fn encode(app: &App, brought: Brought) -> ApiResult<Encoded> {
    let Some(encoder) = app.encoder.clone() else {
        let text =
            "this server has no encoder of texts and pictures; `features` with their `modality` are allowed";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "no_encoder", text));
    };
    let encoded = match brought {
        Brought::Text(text) => app.work.run(move || encoder.text(&text)).await?,
        Brought::Picture(bytes) => app.pictures.run(move || encoder.image(&bytes)).await?,
    };
    Ok(encoded?)
}

async fn nearest(app: &App, which: Which, encoded: Encoded, top: usize) -> ApiResult<Json<RankedItems>> {
    within("top", top, 1, MAX_LISTED)?;
    let (model, now) = (app.model(which)?, (app.clock)());
    let work = move || -> alike::Result<RankedItems> {
        let near = |most: usize| {
            let mut list = model.recommender.nearest(&encoded.modality, &encoded.features, most)?;
            list.extend(model.shelf.nearest_added(&encoded.modality, &encoded.features));
            Ok(best(list, most))
        };
        let list = model.listed(top, now, near)?;
        Ok(RankedItems { model: model.reference(), items: model.ranked(&list, 0) })
    };
    Ok(Json(app.work.run(work).await??))
}
