//! Recommendations: for a user, for a list of items, for a session.

use std::sync::Arc;

use alike::recommend::HISTORY_LOOKED_AT;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::users::OfUser;
use super::views::{MAX_LISTED, ModelRef, Ranked};
use crate::serve::error::{ApiError, ApiResult, ErrorResponses};
use crate::serve::extract::{Body, Path, Query, id, whole, within};
use crate::serve::filter::Filter;
use crate::serve::model::ModelSnapshot;
use crate::serve::people::UserState;
use crate::serve::ranking::RankRequest;
use crate::serve::state::{App, Which};

/// Maximum of items that `allow` or `deny` may name.
const MAX_FILTERED: usize = 10_000;
/// Maximum of items of a history that the request brings along.
const MAX_HISTORY: usize = 1000;
/// Maximum of reasons per item.
const MAX_REASONS: usize = 10;

/// How the list is to be: what of [`Ask`] an address can say, with the same defaults.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Number of items.
    #[param(minimum = 1, maximum = 1000, default = 10)]
    top: usize,
    /// Recommend also what the user has already.
    #[param(default = false)]
    seen: bool,
    /// Only items of this category, in any case of letters.
    category: Option<String>,
    /// How different the items are to be from one another: 0 goes by score alone, 1 by difference alone. Next
    /// is always the item with the largest `(1 - diversity) · score - diversity · (largest cosine with what
    /// is listed)`, scores scaled to 0..1.
    #[param(minimum = 0, maximum = 1, default = 0)]
    diversity: f32,
    /// Maximum of reasons per item.
    #[param(minimum = 0, maximum = 10, default = 0)]
    reasons: usize,
    /// Which model.
    #[param(inline)]
    model: Which,
}

impl Default for ListParams {
    fn default() -> Self {
        let Ask { top, exclude_seen, category, diversity, reasons, model, .. } = Ask::default();
        Self { top, seen: !exclude_seen, category, diversity, reasons, model }
    }
}

impl ListParams {
    /// The same request of `user`, as a body would say it.
    fn ask(self, user: String) -> Ask {
        let Self { top, seen, category, diversity, reasons, model } = self;
        let user = Some(user);
        Ask { user, top, exclude_seen: !seen, category, diversity, reasons, model, ..Ask::default() }
    }
}

/// For whom, and how the list is to be. Either `user` or `items` is needed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ask {
    /// A user's id.
    user: Option<String>,
    /// Items that somebody took, known to the model or not: a basket, a session. At most 1000; none: what
    /// suits most people.
    #[schema(max_items = 1000)]
    items: Option<Vec<String>>,
    /// Number of items.
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    #[serde(deserialize_with = "whole")]
    top: usize,
    /// Leave out what they have already.
    #[schema(default = true)]
    exclude_seen: bool,
    /// Only items of this category, in any case of letters.
    category: Option<String>,
    /// Rank only these items. At most 10 000.
    #[schema(max_items = 10_000)]
    allow: Option<Vec<String>>,
    /// Leave these items out. At most 10 000.
    #[schema(max_items = 10_000)]
    deny: Vec<String>,
    /// How different the items are to be from one another, 0 to 1.
    #[schema(minimum = 0, maximum = 1, default = 0)]
    diversity: f32,
    /// Maximum of reasons per item.
    #[schema(minimum = 0, maximum = 10, default = 0)]
    #[serde(deserialize_with = "whole")]
    reasons: usize,
    /// Which model.
    #[schema(inline)]
    model: Which,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            user: None,
            items: None,
            top: 10,
            exclude_seen: true,
            category: None,
            allow: None,
            deny: Vec::new(),
            diversity: 0.0,
            reasons: 0,
            model: Which::Main,
        }
    }
}

/// Recommendations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Recommendations {
    /// The user, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Which checkpoint answered.
    model: ModelRef,
    /// Best first; fewer than `top` where no more are left.
    items: Vec<Ranked>,
    /// Items of the request that this model does not know; they counted for nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_items: Vec<String>,
}

/// Recommend items to a user
///
/// A user whom training did not know is placed by their events. What they took, and what they disliked, is
/// left out.
#[utoipa::path(get, path = "/v1/users/{user}/recommendations", tag = "recommend", security(("key" = ["read"])),
    params(OfUser, ListParams),
    responses((status = 200, description = "The list", body = Recommendations), ErrorResponses))]
pub(crate) async fn of_user(
    State(app): State<Arc<App>>,
    Path(OfUser { user }): Path<OfUser>,
    Query(params): Query<ListParams>,
) -> ApiResult<Json<Recommendations>> {
    answer(&app, params.ask(user)).await
}

/// Recommend items to anybody
///
/// To a user, or to somebody of whom only a few items are known (they need not have been there when the model
/// was trained).
#[utoipa::path(post, path = "/v1/recommendations", tag = "recommend", security(("key" = ["read"])), request_body = Ask,
    responses((status = 200, description = "The list", body = Recommendations), ErrorResponses))]
pub(crate) async fn of_anybody(
    State(app): State<Arc<App>>,
    Body(ask): Body<Ask>,
) -> ApiResult<Json<Recommendations>> {
    answer(&app, ask).await
}

async fn answer(app: &App, ask: Ask) -> ApiResult<Json<Recommendations>> {
    within("top", ask.top, 1, MAX_LISTED)?;
    within("diversity", ask.diversity, 0.0, 1.0)?;
    within("reasons", ask.reasons, 0, MAX_REASONS)?;
    within("number of `allow`", ask.allow.as_ref().map_or(0, Vec::len), 0, MAX_FILTERED)?;
    within("number of `deny`", ask.deny.len(), 0, MAX_FILTERED)?;
    let model = app.model(ask.model)?;
    let mut unknown = Vec::new();
    let user_state = match (&ask.user, &ask.items) {
        (Some(user), None) => app.user(&model, id("user", user)?).await?,
        (None, Some(items)) => {
            within("number of `items`", items.len(), 0, MAX_HISTORY)?;
            let history = item_numbers(&model, items, &mut unknown);
            if let (true, Some(first)) = (history.is_empty(), items.first()) {
                return Err(ApiError::unknown_item(first));
            }
            let mut user_state = UserState::default();
            user_state.person.history = history;
            user_state
        }
        _ => return Err(ApiError::invalid("either `user` or `items` is needed, and not both")),
    };
    let mut hidden = item_numbers(&model, &ask.deny, &mut unknown);
    hidden.extend(&user_state.disliked);
    if ask.exclude_seen {
        hidden.extend(&user_state.person.history);
    }
    hidden.sort_unstable();
    hidden.dedup();
    let allowed = allowed_items(&model, &ask, &mut unknown)?;
    // More than are asked for, so that there is something to choose from.
    let length = if ask.diversity > 0.0 { (ask.top * 4).clamp(100, ask.top + 1000) } else { ask.top };
    let filter = Filter { hidden, candidates: allowed, top: length, narrowed: false };
    let request = RankRequest { model: model.clone(), person: user_state.person.clone(), filter };
    let list = app.ranking.rank(narrowed(app, request).await?).await?;
    let (top, diversity, reasons) = (ask.top, ask.diversity, ask.reasons);
    let items = if diversity > 0.0 || reasons > 0 {
        let model = model.clone();
        // Short ones need not wait for long ones.
        let pool = if cost(&ask, &user_state, list.len()) > app.limits.long { &app.long } else { &app.work };
        pool.run(move || explained(&model, &user_state, list, top, diversity, reasons)).await??
    } else {
        model.ranked(&list)
    };
    unknown.sort_unstable();
    unknown.dedup();
    Ok(Json(Recommendations { user: ask.user, model: model.reference(), items, unknown_items: unknown }))
}

/// The request with candidates from the database in the place of all items, where there is such an index and
/// it helps.
async fn narrowed(app: &App, mut request: RankRequest) -> ApiResult<RankRequest> {
    let model = request.model.clone();
    let items = model.recommender.run().data.items.len();
    if model.index.asks_a_database(&request.filter, items) {
        let (person, placed) = (request.person.clone(), model.clone());
        let vectors = app.work.run(move || placed.recommender.vectors(&[person])).await??;
        let candidates =
            model.index.candidates_of_database(&request.filter, &model.recommender, &vectors[0]).await;
        request.filter.narrow(candidates);
    }
    Ok(request)
}

/// What a list costs beside its ranking: each of its items is scored without each item of the history, and
/// compared with each that it might be.
fn cost(ask: &Ask, user_state: &UserState, candidates: usize) -> usize {
    let scored = if ask.reasons > 0 { user_state.person.history.len().min(HISTORY_LOOKED_AT) } else { 0 };
    let compared = if ask.diversity > 0.0 { candidates } else { 0 };
    ask.top.min(candidates) * (scored + compared)
}

/// The list with other items between, and with reasons.
fn explained(
    model: &ModelSnapshot,
    user_state: &UserState,
    list: Vec<(u32, f32)>,
    top: usize,
    diversity: f32,
    max_reasons: usize,
) -> ApiResult<Vec<Ranked>> {
    let list = if diversity > 0.0 { model.recommender.diversified(&list, diversity, top) } else { list };
    let mut shown = model.ranked(&list);
    if max_reasons > 0 {
        let items: Vec<u32> = list.iter().map(|l| l.0).collect();
        let reasons = model.recommender.reasons(&user_state.person, &items, max_reasons)?;
        shown.iter_mut().zip(reasons).for_each(|(item, why)| item.reasons = model.why(why));
    }
    Ok(shown)
}

/// The only items to rank, ascending; `None` for all.
fn allowed_items(model: &ModelSnapshot, ask: &Ask, unknown: &mut Vec<String>) -> ApiResult<Option<Vec<u32>>> {
    // An empty field of a form says nothing.
    let category = match ask.category.as_ref().filter(|name| !name.is_empty()) {
        None => None,
        Some(name) => Some(model.category(name).ok_or_else(|| unknown_category(model, name))?),
    };
    let Some(allow) = &ask.allow else { return Ok(category.map(<[u32]>::to_vec)) };
    let mut allowed = item_numbers(model, allow, unknown);
    if let Some(category) = category {
        allowed.retain(|i| category.binary_search(i).is_ok());
    }
    Ok(Some(allowed))
}

fn unknown_category(model: &ModelSnapshot, name: &str) -> ApiError {
    let mut allowed: Vec<&str> = model.categories().take(30).collect();
    if model.categories().nth(30).is_some() {
        allowed.push("and others");
    }
    let allowed =
        if allowed.is_empty() { "none, the catalogue has no categories".into() } else { allowed.join(", ") };
    ApiError::invalid(format!("`category` is {name}; allowed: {allowed}"))
}

/// Numbers of items, ascending without repeats; ids that the model does not know are put to `unknown`.
fn item_numbers(model: &ModelSnapshot, ids: &[String], unknown: &mut Vec<String>) -> Vec<u32> {
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        match model.recommender.run().data.items.get(id) {
            Some(item) => items.push(item),
            None => unknown.push(id.clone()),
        }
    }
    items.sort_unstable();
    items.dedup();
    items
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, to_value};
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn documented_defaults_are_those_of_requests_that_say_nothing() {
        let ask: Ask = serde_json::from_str("{}").unwrap();
        let schema = to_value(Ask::schema()).unwrap();
        let body = |field: &str| &schema["properties"][field]["default"];
        let parameters: BTreeMap<String, Value> = ListParams::into_params(|| None)
            .into_iter()
            .map(|p| (p.name.clone(), to_value(p).unwrap()))
            .collect();
        let query = |field: &str| &parameters[field]["schema"]["default"];
        let numbers =
            [("top", ask.top as f64), ("diversity", ask.diversity.into()), ("reasons", ask.reasons as f64)];
        for (field, default) in numbers {
            assert_eq!(body(field).as_f64(), Some(default), "{field}");
            assert_eq!(query(field).as_f64(), Some(default), "{field}");
        }
        assert_eq!(body("exclude_seen").as_bool(), Some(ask.exclude_seen));
        assert_eq!(query("seen").as_bool(), Some(!ask.exclude_seen));
    }
}
