//! Events in: on disk before the answer, and counting from the next request on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::serve::error::{ApiError, ApiResult, ErrorResponses};
use crate::serve::extract::{Body, id, whole_or_none, within};
use crate::serve::state::{App, Which};
use crate::serve::store::{AHEAD, Event, EventKind};
use crate::serve::unique::Unique;

/// Maximum of events of a request.
const BATCH: usize = 1000;

/// One event, or many.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum NewEvents {
    /// Many.
    Many(Batch),
    /// One.
    One(NewEvent),
}

impl<'de> Deserialize<'de> for NewEvents {
    /// By the name of its only member, so that what is wrong can be said of the form that was meant.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Unique(value) = Unique::deserialize(deserializer)?;
        let events = match value.get("events") {
            Some(_) => serde_json::from_value(value).map(Self::Many),
            None => serde_json::from_value(value).map(Self::One),
        };
        events.map_err(D::Error::custom)
    }
}

/// Many events.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    /// The events, 1 to 1000.
    #[schema(min_items = 1, max_items = 1000)]
    events: Vec<NewEvent>,
}

/// Something that somebody did.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvent {
    /// Id of the user; one that nobody knows becomes a new user.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    user: String,
    /// Id of the item.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    item: String,
    /// What they did.
    kind: EventKind,
    /// When, in milliseconds since 1970; now, if not given. At most five minutes ahead of the server's clock,
    /// and then taken as now. Of several events about one item the newest counts.
    #[schema(minimum = 0, maximum = 253_402_300_799_999_i64)]
    #[serde(default, deserialize_with = "whole_or_none")]
    time: Option<i64>,
    /// Of events with the same key only the first counts, for as long as it is kept: send one to be able to
    /// repeat a request safely.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    key: Option<String>,
}

/// What became of the events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Written {
    /// Events that were written; they are on disk.
    written: usize,
    /// Events whose key came before; they change nothing.
    repeated: usize,
    /// Events about items that the model does not know; they are not written.
    unknown: Vec<Unknown>,
}

/// An event about an item that the model does not know.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unknown {
    /// Place of the event in the request, from 0.
    index: usize,
    /// The item.
    item: String,
}

/// Say what people did
///
/// The answer comes when the events are on disk. They count from the next request on. Of a batch, events
/// about unknown items are reported and not written; a single one is an error. Of each user the newest events
/// are kept, 100,000 unless the server was started with another number (`--keep-events-per-user`): beyond
/// them the oldest go. The newest 5,000 count.
#[utoipa::path(post, path = "/v1/events", operation_id = "append_events",
    tag = "events", security(("key" = ["write"])), request_body = NewEvents,
    responses((status = 200, description = "What became of the events", body = Written), ErrorResponses))]
pub(crate) async fn append(
    State(app): State<Arc<App>>,
    Body(events): Body<NewEvents>,
) -> ApiResult<Json<Written>> {
    let (events, single) = match events {
        NewEvents::One(event) => (vec![event], true),
        NewEvents::Many(batch) => (batch.events, false),
    };
    within("number of `events`", events.len(), 1, BATCH)?;
    let model = app.model(Which::Main)?;
    let arrived = (app.clock)();
    let (mut known, mut unknown) = (Vec::with_capacity(events.len()), Vec::new());
    for (index, event) in events.into_iter().enumerate() {
        let NewEvent { user, item, kind, time, key } = event;
        id("user", &user)?;
        id("item", &item)?;
        key.as_ref().map(|key| id("key", key)).transpose()?;
        let happened = time.map(|time| happened(time, arrived)).transpose()?;
        if model.shelf.knows(&item) {
            known.push(Event { user, item, kind, arrived, happened, key });
        } else if single {
            return Err(ApiError::unknown_item(&item));
        } else {
            unknown.push(Unknown { index, item });
        }
    }
    let new = if known.is_empty() { Vec::new() } else { app.store.append(known).await? };
    let written = new.iter().filter(|&&new| new).count();
    app.metrics.events.inc_by(written as u64);
    Ok(Json(Written { written, repeated: new.len() - written, unknown }))
}

/// The time that a client says, if it can be one: no clock runs ahead by more than minutes, and an event that
/// lies in the future would outlast all that come after it.
fn happened(time: i64, arrived: i64) -> ApiResult<i64> {
    let last = arrived + AHEAD;
    if (0..=last).contains(&time) {
        return Ok(time.min(arrived));
    }
    Err(ApiError::invalid(format!(
        "`time` is {time}; allowed: 0..={last}, milliseconds since 1970, at most five minutes ahead of this server's clock"
    )))
}
