//! Items: one, those like it, its picture, and search by title.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::users::{Find, Top};
use super::views::{Item, ItemDetail, MAX_LISTED, RankedItems};
use crate::serve::error::{ApiError, ApiResult, ErrorResponses};
use crate::serve::extract::{Path, Query, id, within};
use crate::serve::model::ModelSnapshot;
use crate::serve::similar::LISTED;
use crate::serve::state::{App, Which};

/// Which item.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct OfItem {
    /// Id of the item.
    pub(super) item: String,
}

/// The number of an item by its id.
pub(super) fn number(model: &ModelSnapshot, item: &str) -> ApiResult<u32> {
    model.shelf.number(item).ok_or_else(|| ApiError::unknown_item(item))
}

/// One item
#[utoipa::path(get, path = "/v1/items/{item}", operation_id = "item",
    tag = "items", security(("key" = ["read"])),
    params(OfItem),
    responses((status = 200, description = "The item", body = ItemDetail), ErrorResponses))]
pub(crate) async fn one(
    State(app): State<Arc<App>>,
    Path(OfItem { item }): Path<OfItem>,
) -> ApiResult<Json<ItemDetail>> {
    let model = app.model(Which::Main)?;
    Ok(Json(model.detail(number(&model, &item)?, (app.clock)())))
}

/// Items most like one
#[utoipa::path(get, path = "/v1/items/{item}/similar", operation_id = "similar_items",
    tag = "items", security(("key" = ["read"])),
    params(OfItem, Top),
    responses((status = 200, description = "The list", body = RankedItems), ErrorResponses))]
pub(crate) async fn similar(
    State(app): State<Arc<App>>,
    Path(OfItem { item }): Path<OfItem>,
    Query(Top { top, model }): Query<Top>,
) -> ApiResult<Json<RankedItems>> {
    within("top", top, 1, MAX_LISTED)?;
    let model = app.model(model)?;
    let (item, now) = (number(&model, &item)?, (app.clock)());
    let work = move || -> alike::Result<RankedItems> {
        // A new one is like those that it lies between.
        let like = |most: usize| match model.shelf.between(item) {
            Some(between) => Ok(between),
            None if most <= LISTED => model.similar(item).map(|list| list[..most.min(list.len())].to_vec()),
            None => model.recommender.run().scorer.similar(item, most),
        };
        let list = model.listed(top, now, like)?;
        Ok(RankedItems { model: model.reference(), items: model.ranked(&list, 0) })
    };
    Ok(Json(app.work.run(work).await??))
}

/// Items that were found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Items {
    /// Number of items of the catalogue that may be listed now.
    catalogue: usize,
    /// Those found, best first.
    items: Vec<Item>,
}

/// Items by a part of the title or id
///
/// Those that start with the text come first, then those with a word that does, then the rest.
#[utoipa::path(get, path = "/v1/items", operation_id = "find_items",
    tag = "items", security(("key" = ["read"])), params(Find),
    responses((status = 200, description = "The items", body = Items), ErrorResponses))]
pub(crate) async fn find(State(app): State<Arc<App>>, Query(find): Query<Find>) -> ApiResult<Json<Items>> {
    let Find { query, top, model } = find;
    within("top", top, 1, MAX_LISTED)?;
    if !query.is_empty() {
        id("query", &query)?;
    }
    let model = app.model(model)?;
    let now = (app.clock)();
    let work = move || {
        let (shelf, query) = (&model.shelf, query.trim().to_lowercase());
        let open = shelf.set(now, &[]);
        let mut found: Vec<(u8, u32)> = shelf.scan(|item, id, title| {
            if open.as_ref().is_some_and(|open| !open.contains(item)) {
                return None;
            }
            if id == query {
                return Some((0, item));
            }
            let title = title.unwrap_or(id).to_lowercase();
            let at = title.find(&query)?;
            let within_word = title[..at].ends_with(char::is_alphanumeric);
            Some((if at == 0 { 1 } else { 2 + u8::from(within_word) }, item))
        });
        found.sort_unstable();
        found.truncate(top);
        Items {
            catalogue: open.map_or(shelf.len() as usize, |open| open.len()),
            items: found.into_iter().map(|(_, item)| model.shown(item)).collect(),
        }
    };
    Ok(Json(app.work.run(work).await?))
}

/// The picture of an item
///
/// Only files in the folder of the items file are served, wherever links and dots point.
#[utoipa::path(get, path = "/v1/items/{item}/image", operation_id = "item_image",
    tag = "items", security(("key" = ["read"])),
    params(OfItem),
    responses((status = 200, description = "The picture", body = Vec<u8>, content_type = "image/*"), ErrorResponses))]
pub(crate) async fn image(
    State(app): State<Arc<App>>,
    Path(OfItem { item }): Path<OfItem>,
) -> ApiResult<Response> {
    let model = app.model(Which::Main)?;
    let number = number(&model, &item)?;
    let work = move || -> Option<(&'static str, Vec<u8>)> {
        let path = model.picture(number)?;
        let kind = kind(path.extension()?.to_str()?)?;
        std::fs::read(path).ok().map(|bytes| (kind, bytes))
    };
    match app.work.run(work).await? {
        Some((kind, bytes)) => {
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=3600")];
            Ok((headers, bytes).into_response())
        }
        None => {
            let text = format!("item `{item}` has no picture in the catalogue's folder");
            Err(ApiError::new(StatusCode::NOT_FOUND, "no_image", text))
        }
    }
}

/// The content type of a picture by its file's extension. Drawings (SVG) may hold scripts and are not served.
fn kind(extension: &str) -> Option<&'static str> {
    Some(match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "avif" => "image/avif",
        _ => return None,
    })
}
