//! Changes to items at run time: on disk before the answer, and counting from the next request on.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::items::OfItem;
use super::views::ItemDetail;
use crate::serve::error::{ApiError, ApiResult, ErrorResponses};
use crate::serve::extract::{Body, Path, bytes, id, within};
use crate::serve::model::ModelSnapshot;
use crate::serve::shelf::ItemFields;
use crate::serve::state::{App, Which};
use crate::serve::store::{ItemChange, ItemRecord};
use crate::serve::unique::Unique;

/// Items that the model does not know, at most: they are looked at one by one for every list.
const NEW: usize = 20_000;
/// Lines of a request.
const LINES: usize = 10_000;
/// What lines of JSON are called.
const LINES_TYPES: [&str; 3] = ["application/x-ndjson", "application/jsonl", "application/json-lines"];

/// Say what an item is
///
/// Whatever was said of it before counts no more, the catalogue included. An item that the model does not
/// know is new: it is placed by its features or, where the server has an encoder of texts, by what is said of
/// it, and can be recommended from the next request on. The answer comes when it is on disk.
#[utoipa::path(put, path = "/v1/items/{item}", operation_id = "put_item",
    tag = "items", security(("key" = ["write"])), params(OfItem),
    request_body = ItemFields,
    responses((status = 200, description = "The item as it is now", body = ItemDetail), ErrorResponses))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Path(OfItem { item }): Path<OfItem>,
    Body(Unique(fields)): Body<Unique>,
) -> ApiResult<Json<ItemDetail>> {
    change(&app, item, ItemChange::Put(object(fields)?)).await
}

/// Change something of an item
///
/// Fields that are named are set, null takes one away, all others stay: a JSON merge patch (RFC 7396). Price
/// and stock change so.
#[utoipa::path(patch, path = "/v1/items/{item}", operation_id = "patch_item",
    tag = "items", security(("key" = ["write"])), params(OfItem),
    request_body = ItemFields,
    responses((status = 200, description = "The item as it is now", body = ItemDetail), ErrorResponses))]
pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    Path(OfItem { item }): Path<OfItem>,
    Body(Unique(fields)): Body<Unique>,
) -> ApiResult<Json<ItemDetail>> {
    known(&app, &item)?;
    change(&app, item, ItemChange::Patch(object(fields)?)).await
}

/// An item that is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Gone {
    /// Its id.
    item: String,
}

/// Remove an item
///
/// It is in no list and no search any more, until it is put again. Events about it stay.
#[utoipa::path(delete, path = "/v1/items/{item}", operation_id = "delete_item",
    tag = "items", security(("key" = ["write"])), params(OfItem),
    responses((status = 200, description = "It is gone", body = Gone), ErrorResponses))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Path(OfItem { item }): Path<OfItem>,
) -> ApiResult<Json<Gone>> {
    known(&app, &item)?;
    write(&app, vec![(item.clone(), ItemChange::Delete)]).await?;
    Ok(Json(Gone { item }))
}

/// A change to an item: one of `put`, `patch` and `delete`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemLine {
    /// Id of the item.
    item: String,
    /// What it is.
    #[schema(value_type = Option<ItemFields>)]
    put: Option<Value>,
    /// What changes.
    #[schema(value_type = Option<ItemFields>)]
    patch: Option<Value>,
    /// True: it goes.
    delete: Option<bool>,
}

/// How many items were changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed {
    /// Items that were changed; they are on disk.
    changed: usize,
    /// Those of them that the model does not know.
    new: usize,
}

/// Change many items
///
/// A JSON object per line (`application/x-ndjson`), at most 10,000: `{"item": …, "put": {…}}`, `{"item": …,
/// "patch": {…}}` or `{"item": …, "delete": true}`, done in their order, all or none.
#[utoipa::path(post, path = "/v1/items", operation_id = "change_items",
    tag = "items", security(("key" = ["write"])),
    request_body(content((ItemLine = "application/x-ndjson"))),
    responses((status = 200, description = "What became of them", body = Changed), ErrorResponses))]
pub(crate) async fn bulk(State(app): State<Arc<App>>, request: Request) -> ApiResult<Json<Changed>> {
    let Lines(bytes) = Lines::from_request(request, &app).await?;
    let model = app.model(Which::Main)?;
    // Reading and checking a megabyte of JSON takes milliseconds.
    let work = move || {
        let changes = lines(&bytes)?;
        let answer = merged(&model, &changes)?;
        let changes = changes.into_iter().map(|(_, item, change)| (item, change)).collect();
        ApiResult::Ok((changes, answer))
    };
    let (changes, answer) = app.work.run(work).await??;
    write(&app, changes).await?;
    Ok(Json(answer))
}

/// How many items `changes` change, if they may all be done one after another.
fn merged(model: &ModelSnapshot, changes: &[(usize, String, ItemChange)]) -> ApiResult<Changed> {
    let mut merged: BTreeMap<&str, Option<ItemRecord>> = BTreeMap::new();
    for (line, item, change) in changes {
        let wrong = |text: &str| ApiError::invalid(format!("line {line}: {text}"));
        let before = match merged.get(item.as_str()) {
            Some(earlier) => Some(earlier.clone()),
            None => said(model, item),
        };
        let there = before.as_ref().is_some_and(Option::is_some);
        if !there && !matches!(change, ItemChange::Put(_)) {
            return Err(wrong(&format!("unknown item `{item}`; allowed: put")));
        }
        let after = change.after(before);
        check(model, item, after.as_ref()).map_err(|e| wrong(e.message()))?;
        merged.insert(item, after);
    }
    let new = merged.keys().filter(|id| model.recommender.run().data.items.get(id).is_none()).count();
    Ok(Changed { changed: merged.len(), new })
}

/// What is said of an item: nothing where nobody knows it, none where it is gone.
fn said(model: &ModelSnapshot, item: &str) -> Option<Option<ItemRecord>> {
    match model.shelf.number(item) {
        Some(number) => Some(Some(model.shelf.record(number).unwrap_or_default())),
        None => model.shelf.knows(item).then_some(None),
    }
}

/// Whether an item may be what it is after a change.
fn check(model: &ModelSnapshot, item: &str, after: Option<&ItemRecord>) -> ApiResult<()> {
    let Some(record) = after else { return Ok(()) };
    ItemFields::check(&record.fields)?;
    let data = &model.recommender.run().data;
    for (modality, values) in ItemFields::features(&record.fields) {
        let known = data.features.iter().find(|own| own.name == modality);
        if known.is_none_or(|own| own.dim != values) {
            let allowed: Vec<String> =
                data.features.iter().map(|f| format!("{} ({})", f.name, f.dim)).collect();
            let allowed = if allowed.is_empty() {
                "none, the data have no features".into()
            } else {
                allowed.join(", ")
            };
            return Err(ApiError::invalid(format!(
                "`features.{modality}` has {values} values; allowed: {allowed}"
            )));
        }
    }
    if !model.shelf.knows(item) && model.shelf.added() >= NEW {
        let text = format!("there are {NEW} items that the model does not know; train it again with them");
        return Err(ApiError::invalid(text));
    }
    Ok(())
}

/// A body of lines.
struct Lines(Bytes);

impl FromRequest<Arc<App>> for Lines {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> ApiResult<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let kind = kind.unwrap_or_default().to_string();
        let plain = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !LINES_TYPES.contains(&plain.as_str()) {
            let text = format!("the body is `{kind}`; allowed: {}", LINES_TYPES[0]);
            return Err(ApiError::rejected(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        bytes(request, app).await.map(Self)
    }
}

/// Changes with the numbers of their lines, from 1.
fn lines(bytes: &[u8]) -> ApiResult<Vec<(usize, String, ItemChange)>> {
    let mut changes = Vec::new();
    for (at, line) in bytes.split(|&b| b == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |text: String| ApiError::invalid(format!("line {}: {text}", at + 1));
        within("number of lines", changes.len() + 1, 1, LINES)?;
        let Unique(value) = serde_json::from_slice(line).map_err(|e| wrong(e.to_string()))?;
        let line: ItemLine = serde_json::from_value(value).map_err(|e| wrong(e.to_string()))?;
        id("item", &line.item).map_err(|e| wrong(e.message().into()))?;
        let fields = |value| object(value).map_err(|e| wrong(e.message().into()));
        let change = match (line.put, line.patch, line.delete) {
            (Some(put), None, None) => ItemChange::Put(fields(put)?),
            (None, Some(patch), None) => ItemChange::Patch(fields(patch)?),
            (None, None, Some(true)) => ItemChange::Delete,
            _ => return Err(wrong("one of put, patch and \"delete\": true is needed".into())),
        };
        changes.push((at + 1, line.item, change));
    }
    within("number of lines", changes.len(), 1, LINES)?;
    Ok(changes)
}

/// An error where the server knows no such item.
fn known(app: &App, item: &str) -> ApiResult<()> {
    let number = app.model(Which::Main)?.shelf.number(id("item", item)?);
    number.map(drop).ok_or_else(|| ApiError::unknown_item(item))
}

/// The fields of an item; what they may be is looked at once, with what they change.
fn object(fields: Value) -> ApiResult<Map<String, Value>> {
    match fields {
        Value::Object(fields) => Ok(fields),
        _ => Err(ApiError::invalid("the item is no object; allowed: {…}")),
    }
}

async fn change(app: &Arc<App>, item: String, change: ItemChange) -> ApiResult<Json<ItemDetail>> {
    id("item", &item)?;
    let model = app.model(Which::Main)?;
    check(&model, &item, change.after(said(&model, &item)).as_ref())?;
    write(app, vec![(item.clone(), change)]).await?;
    let model = app.model(Which::Main)?;
    let number = model.shelf.number(&item).ok_or_else(|| {
        // Another request has removed it meanwhile, or the store cannot be read.
        let text =
            "the change is on disk, but the item is not here: it was removed, or will be here in a second";
        ApiError::new(StatusCode::CONFLICT, "not_here", text)
    })?;
    Ok(Json(model.detail(number, (app.clock)())))
}

/// Writes changes, and lets them count.
async fn write(app: &Arc<App>, changes: Vec<(String, ItemChange)>) -> ApiResult<()> {
    let ids: Vec<String> = changes.iter().map(|(item, _)| item.clone()).collect();
    app.store.change_items(changes).await?;
    // They are on disk: what goes wrong from here on is made good within a second.
    if let Err(error) = app.sync_all().await {
        tracing::warn!(%error, "changes to items were not read");
    }
    // Only who brings new items waits until they have their places.
    let model = app.model(Which::Main)?;
    let waits = |id: &String| model.shelf.number(id).is_some_and(|item| model.shelf.is_unplaced(item));
    if ids.iter().any(waits) {
        app.place_all().await;
    }
    Ok(())
}
