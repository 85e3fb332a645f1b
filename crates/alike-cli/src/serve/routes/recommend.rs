//! Recommendations: for a user, for a list of items, for a session.

use std::sync::Arc;

use alike::recommend::HISTORY_LOOKED_AT;
use alike_ops::ItemSet;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::users::OfUser;
use super::views::{MAX_LISTED, ModelRef, Ranked, Why};
use crate::serve::error::{ApiError, ApiResult, ErrorResponses};
use crate::serve::extract::{Body, Path, Query, id, whole, within};
use crate::serve::listing::{self, ListSpec};
use crate::serve::model::ModelSnapshot;
use crate::serve::people::UserState;
use crate::serve::rules::Rules;
use crate::serve::shelf::Selection;
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
    /// How many of the best to pass over: the list goes on where an earlier one ended. With `top` at most
    /// 1000.
    #[schema(minimum = 0, maximum = 999, default = 0)]
    #[serde(deserialize_with = "whole")]
    offset: usize,
    /// Rules of the list.
    rules: Rules,
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
            offset: 0,
            rules: Rules::default(),
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
    /// Items of the request that this server does not know; they counted for nothing.
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
    within("offset + top", ask.offset.saturating_add(ask.top), 1, MAX_LISTED)?;
    ask.rules.check()?;
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
            UserState::of_items(&model, history)
        }
        _ => return Err(ApiError::invalid("either `user` or `items` is needed, and not both")),
    };
    let pinned = ask.rules.pinned_ids().filter(|id| model.shelf.number(id).is_none());
    unknown.extend(pinned.cloned());
    let spec = ListSpec {
        top: ask.top,
        offset: ask.offset,
        exclude_seen: ask.exclude_seen,
        denied: item_numbers(&model, &ask.deny, &mut unknown),
        within: allowed_items(app, &model, &ask, &mut unknown).await?,
        diversity: ask.diversity,
        rules: &ask.rules,
    };
    let list = listing::list(app, &model, &user_state, spec).await?;
    let mut items = model.ranked(&list, ask.offset);
    if ask.reasons > 0 {
        let listed: Vec<u32> = list.iter().map(|l| l.0).collect();
        let (model, most) = (model.clone(), ask.reasons);
        // Short ones need not wait for long ones.
        let cost = listed.len() * user_state.person.history.len().min(HISTORY_LOOKED_AT);
        let pool = if cost > app.limits.long { &app.long } else { &app.work };
        let why = pool.run(move || reasons(&model, &user_state, &listed, most)).await??;
        items.iter_mut().zip(why).for_each(|(item, why)| item.reasons = why);
    }
    unknown.sort_unstable();
    unknown.dedup();
    Ok(Json(Recommendations { user: ask.user, model: model.reference(), items, unknown_items: unknown }))
}

/// Why each of `items` is listed; of new ones nothing is said.
fn reasons(model: &ModelSnapshot, state: &UserState, items: &[u32], most: usize) -> ApiResult<Vec<Vec<Why>>> {
    let trained = model.shelf.trained();
    let known: Vec<u32> = items.iter().copied().filter(|&item| item < trained).collect();
    let mut reasons = model.recommender.reasons(&state.person, &known, most)?.into_iter();
    let one =
        |&item: &u32| if item < trained { model.why(reasons.next().unwrap_or_default()) } else { Vec::new() };
    Ok(items.iter().map(one).collect())
}

/// The only items to list; `None` for all.
async fn allowed_items(
    app: &App,
    model: &Arc<ModelSnapshot>,
    ask: &Ask,
    unknown: &mut Vec<String>,
) -> ApiResult<Option<Arc<ItemSet>>> {
    // An empty field of a form says nothing.
    let category = ask.category.as_ref().filter(|name| !name.is_empty());
    let mut wanted: Vec<Selection> = category.map(|name| Selection::category(name)).into_iter().collect();
    // Sets that are kept are not empty.
    if let Some(name) = category.filter(|_| !model.shelf.is_kept(&wanted[0])) {
        let (of_it, which) = (model.clone(), wanted[0].clone());
        if app.work.run(move || of_it.shelf.kept(&which).is_empty()).await? {
            return Err(unknown_category(model, name));
        }
    }
    wanted.extend(ask.rules.filter.clone().map(Selection::Filter));
    let set = listing::within(app, model, wanted).await?;
    let Some(allow) = &ask.allow else { return Ok(set) };
    let allowed = item_numbers(model, allow, unknown);
    let allowed = allowed.into_iter().filter(|&i| set.as_ref().is_none_or(|set| set.contains(i)));
    Ok(Some(Arc::new(ItemSet::of(model.shelf.len() as usize, allowed))))
}

fn unknown_category(model: &ModelSnapshot, name: &str) -> ApiError {
    let mut allowed = model.shelf.categories(31);
    if allowed.len() > 30 {
        allowed[30] = "and others".into();
    }
    let allowed =
        if allowed.is_empty() { "none, the catalogue has no categories".into() } else { allowed.join(", ") };
    ApiError::invalid(format!("`category` is {name}; allowed: {allowed}"))
}

/// Numbers of items, ascending without repeats; ids that nobody knows are put to `unknown`.
fn item_numbers(model: &ModelSnapshot, ids: &[String], unknown: &mut Vec<String>) -> Vec<u32> {
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        match model.shelf.number(id) {
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
