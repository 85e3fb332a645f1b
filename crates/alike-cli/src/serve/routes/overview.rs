//! What is there: items by their attributes, people, events.

use std::sync::Arc;

use arrow_array::temporal_conversions::date32_to_datetime;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::items::{OfItem, number};
use super::users::Top;
use super::views::MAX_LISTED;
use crate::serve::error::{ApiResult, ErrorResponses};
use crate::serve::extract::{Path, Query, within};
use crate::serve::scenarios::Activity;
use crate::serve::shelf::Facet;
use crate::serve::state::{App, Which};

/// What filters can ask for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Attributes {
    /// The keys that some item has, in the order of their names.
    attributes: Vec<AttributeView>,
}

/// A key of filters.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttributeView {
    /// Its name: `category`, `price`, `stock`, or an attribute.
    key: String,
    /// Number of items that have a value of it.
    items: usize,
    /// Its most frequent values, most first; at most 50.
    values: Vec<AttributeCount>,
    /// Number of its values.
    distinct: usize,
    /// The smallest and the largest, where all are numbers.
    range: Option<NumberRange>,
}

/// A value and how many items have it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttributeCount {
    /// The value, as a text.
    value: String,
    /// Number of items.
    items: usize,
}

/// From where to where numbers go.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NumberRange {
    /// The smallest.
    min: f64,
    /// The largest.
    max: f64,
}

impl From<&Facet> for AttributeView {
    fn from(facet: &Facet) -> Self {
        let count = |(value, items): &(String, usize)| AttributeCount { value: value.clone(), items: *items };
        Self {
            key: facet.key.clone(),
            items: facet.items,
            values: facet.values.iter().map(count).collect(),
            distinct: facet.distinct,
            range: facet.range.map(|(min, max)| NumberRange { min, max }),
        }
    }
}

/// What filters can ask for
///
/// The keys that items have, with their most frequent values; counted again when items changed, at most every
/// ten seconds.
#[utoipa::path(get, path = "/v1/attributes", operation_id = "attributes",
    tag = "items", security(("key" = ["read"])),
    responses((status = 200, description = "The keys", body = Attributes), ErrorResponses))]
pub(crate) async fn attributes(State(app): State<Arc<App>>) -> ApiResult<Json<Attributes>> {
    let model = app.model(Which::Main)?;
    let facets = app.work.run(move || model.shelf.facets()).await?;
    Ok(Json(Attributes { attributes: facets.iter().map(AttributeView::from).collect() }))
}

/// What there is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// People.
    users: OfPeople,
    /// Items.
    items: OfItems,
    /// Number of interactions that the model was trained on.
    interactions: usize,
    /// Share of all pairs of people and items of which training knows.
    density: f64,
    /// What people did since the store was begun.
    events: OfEvents,
}

/// How many people there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfPeople {
    /// The model was trained on them.
    trained: usize,
    /// People with events whom the model does not know; null where more than a million have events.
    new: Option<usize>,
}

/// How many items there are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfItems {
    /// All of them, but those that were deleted.
    catalogue: usize,
    /// In the data that the model was trained on.
    trained: usize,
    /// New ones, which it does not know.
    new: usize,
    /// Those that may be listed now.
    listed: usize,
    /// Those that may not: hidden, sold out, not there yet or no more.
    hidden: usize,
    /// Those of the data that nobody took in training.
    cold: usize,
}

/// How much people did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfEvents {
    /// Events of every kind that the store holds.
    total: u64,
    /// The last thirty days (of UTC), today last.
    days: Vec<DayView>,
}

/// What people did on a day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DayView {
    /// The day, such as 2026-01-31.
    day: String,
    /// Number of events.
    events: u32,
    /// Number of people; null where they are more than 50,000.
    users: Option<usize>,
}

impl From<Activity> for DayView {
    fn from(Activity { day, events, users }: Activity) -> Self {
        let date = i32::try_from(day).ok().and_then(date32_to_datetime).unwrap_or_default().date();
        Self { day: date.to_string(), events, users }
    }
}

/// How many people, items and events there are
#[utoipa::path(get, path = "/v1/overview", operation_id = "overview",
    tag = "model", security(("key" = ["read"])),
    responses((status = 200, description = "The counts", body = Overview), ErrorResponses))]
pub(crate) async fn overview(State(app): State<Arc<App>>) -> ApiResult<Json<Overview>> {
    let model = app.model(Which::Main)?;
    let (of_app, now) = (app.clone(), (app.clock)());
    let work = move || {
        let (shelf, data) = (&model.shelf, &model.recommender.run().data);
        let (alive, new) = shelf.alive();
        let listed = shelf.set(now, &[]).map_or(alive, |open| open.len());
        let interactions = data.train.nnz();
        let pairs = (data.users.len() * data.items.len()).max(1);
        Overview {
            users: OfPeople {
                trained: data.users.len(),
                new: of_app.counts.people_beside(data.users.names()),
            },
            items: OfItems {
                catalogue: alive,
                trained: data.items.len(),
                new,
                listed,
                hidden: alive.saturating_sub(listed),
                cold: data.items.len() - model.taken().len(),
            },
            interactions,
            density: interactions as f64 / pairs as f64,
            events: OfEvents {
                total: of_app.counts.events(),
                days: of_app.counts.activity(now).into_iter().map(DayView::from).collect(),
            },
        }
    };
    Ok(Json(app.work.run(work).await?))
}

/// Who took an item.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Takers {
    /// The item.
    item: String,
    /// Number of people who took it in training.
    count: usize,
    /// Some of them, in the order of the data.
    users: Vec<String>,
}

/// Who took an item in training
#[utoipa::path(get, path = "/v1/items/{item}/users", operation_id = "item_users",
    tag = "items", security(("key" = ["read"])),
    params(OfItem, Top),
    responses((status = 200, description = "The people", body = Takers), ErrorResponses))]
pub(crate) async fn takers(
    State(app): State<Arc<App>>,
    Path(OfItem { item }): Path<OfItem>,
    Query(Top { top, model }): Query<Top>,
) -> ApiResult<Json<Takers>> {
    within("top", top, 1, MAX_LISTED)?;
    let model = app.model(model)?;
    let number = number(&model, &item)?;
    let work = move || {
        let data = &model.recommender.run().data;
        let took = |user: &u32| data.train.row(*user as usize).binary_search(&number).is_ok();
        let all: Vec<u32> = (0..data.users.len() as u32).filter(took).collect();
        let users = all.iter().take(top).map(|&user| data.users.name(user).to_string());
        Takers { item, count: all.len(), users: users.collect() }
    };
    Ok(Json(app.work.run(work).await?))
}
