//! Recommendations: for a user, for a list of items, for a session.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::asked::{Ask, Wish, item_numbers};
use super::part::{InTest, TestPart};
use super::users::OfUser;
use super::views::{ModelRef, Ranked};
use crate::serve::error::{ApiError, ApiResult, ErrorResponses};
use crate::serve::extract::{Body, Path, Query, id, within};
use crate::serve::people::{UserState, user_state};
use crate::serve::state::{App, Which};
use crate::serve::trials::{Drafted, TrialKind, drafted};

/// Maximum of items of a history that the request brings along.
const MAX_HISTORY: usize = 1000;
/// Maximum of users of a request, and of items of all their lists.
const MAX_USERS: usize = 1000;
const MAX_OF_ALL: usize = 20_000;
/// Lists of one request that are made at a time: as many as are ranked together.
const AT_ONCE: usize = 64;
/// Milliseconds of an hour: for so long somebody sees the same interleaved list.
const HOUR: i64 = 3_600_000;

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
    /// A test of this server (`--tests`), whose arm decides about model, diversity and rules.
    test: Option<String>,
}

impl Default for ListParams {
    fn default() -> Self {
        let Ask { top, exclude_seen, category, diversity, reasons, model, test, .. } = Ask::default();
        Self { top, seen: !exclude_seen, category, diversity, reasons, model, test }
    }
}

impl ListParams {
    /// The same request of `user`, as a body would say it.
    fn ask(self, user: String) -> Ask {
        let Self { top, seen, category, diversity, reasons, model, test } = self;
        let user = Some(user);
        Ask { user, top, exclude_seen: !seen, category, diversity, reasons, model, test, ..Ask::default() }
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
    /// The test, where the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<InTest>,
}

/// Many people, and how their lists are to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchAsk {
    /// Ids of users, 1 to 1000; with `top` items each at most 20 000.
    #[schema(min_items = 1, max_items = 1000)]
    users: Vec<String>,
    /// How each list is to be: as for one person, without `user`, `items` and `test`.
    #[serde(default)]
    list: Ask,
}

/// Recommendations of many people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ManyLists {
    /// Which checkpoint answered.
    model: ModelRef,
    /// A list for each user, in the order of the request.
    lists: Vec<ListOfUser>,
    /// Items of the request that this server does not know; they counted for nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_items: Vec<String>,
}

/// The list of one of many people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListOfUser {
    /// The user.
    user: String,
    /// Whether anything is known of them; the list of others is what suits most people.
    known: bool,
    /// Best first.
    items: Vec<Ranked>,
}

/// Recommend items to a user
///
/// A user whom training did not know is placed by their events. What they took, and what they disliked, is
/// left out.
#[utoipa::path(get, path = "/v1/users/{user}/recommendations", operation_id = "recommend_to_user",
    tag = "recommend", security(("key" = ["read"])),
    params(OfUser, ListParams),
    responses((status = 200, description = "The list", body = Recommendations), ErrorResponses))]
pub(crate) async fn of_user(
    State(app): State<Arc<App>>,
    Path(OfUser { user }): Path<OfUser>,
    Query(params): Query<ListParams>,
) -> ApiResult<Json<Recommendations>> {
    answer(app, params.ask(user)).await
}

/// Recommend items to anybody
///
/// To a user, or to somebody of whom only a few items are known (they need not have been there when the model
/// was trained).
#[utoipa::path(post, path = "/v1/recommendations", operation_id = "recommend",
    tag = "recommend", security(("key" = ["read"])), request_body = Ask,
    responses((status = 200, description = "The list", body = Recommendations), ErrorResponses))]
pub(crate) async fn of_anybody(
    State(app): State<Arc<App>>,
    Body(ask): Body<Ask>,
) -> ApiResult<Json<Recommendations>> {
    answer(app, ask).await
}

/// Recommend items to many people
///
/// The lists of up to a thousand people in one request, ranked together. People of whom nobody knows anything
/// get what suits most.
#[utoipa::path(post, path = "/v1/recommendations/batch", operation_id = "recommend_to_many",
    tag = "recommend", security(("key" = ["read"])),
    request_body = BatchAsk,
    responses((status = 200, description = "The lists", body = ManyLists), ErrorResponses))]
pub(crate) async fn of_many(
    State(app): State<Arc<App>>,
    Body(BatchAsk { users, list }): Body<BatchAsk>,
) -> ApiResult<Json<ManyLists>> {
    within("number of `users`", users.len(), 1, MAX_USERS)?;
    users.iter().try_for_each(|user| id("user", user).map(|_| ()))?;
    if list.user.is_some() || list.items.is_some() || list.test.is_some() {
        return Err(ApiError::invalid("`list` has user, items or test; allowed: `users` beside it"));
    }
    within("`users` x `top`", users.len().saturating_mul(list.top), 1, MAX_OF_ALL)?;
    list.check()?;
    let mut unknown = Vec::new();
    let wish = Arc::new(Wish::new(app, list, &mut unknown).await?);
    let mut lists: Vec<Option<ListOfUser>> = users.iter().map(|_| None).collect();
    let mut waiting = users.into_iter().enumerate();
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        for (at, user) in waiting.by_ref().take(AT_ONCE - tasks.len()) {
            let wish = wish.clone();
            tasks.spawn(async move { list_of(&wish, user).await.map(|list| (at, list)) });
        }
        let Some(done) = tasks.join_next().await else { break };
        let (at, list) = done.map_err(ApiError::internal)??;
        lists[at] = Some(list);
    }
    tidy(&mut unknown);
    let lists = lists.into_iter().flatten().collect();
    Ok(Json(ManyLists { model: wish.model.reference(), lists, unknown_items: unknown }))
}

async fn answer(app: Arc<App>, mut ask: Ask) -> ApiResult<Json<Recommendations>> {
    ask.check()?;
    let (test, user) = (ask.test.clone(), ask.user.clone());
    let part = TestPart::of(&app, test.as_deref(), user.as_deref())?;
    if let Some(part) = part {
        if ask.items.is_some() {
            return Err(either());
        }
        if part.trial.kind == TrialKind::Interleaving {
            return interleaved(&app, part, &ask).await;
        }
        part.arm().into_iter().for_each(|arm| ask.adopt(arm));
    }
    let mut unknown = Vec::new();
    let wish = Wish::new(app.clone(), ask, &mut unknown).await?;
    let (ask, model) = (&wish.ask, &wish.model);
    let user_state = match (&ask.user, &ask.items) {
        (Some(user), None) => app.user(model, id("user", user)?).await?,
        (None, Some(items)) => {
            within("number of `items`", items.len(), 0, MAX_HISTORY)?;
            let history = item_numbers(model, items, &mut unknown);
            if let (true, Some(first)) = (history.is_empty(), items.first()) {
                return Err(ApiError::unknown_item(first));
            }
            UserState::of_items(model, history)
        }
        _ => return Err(either()),
    };
    let list = wish.list(&user_state).await?;
    let items = wish.shown(user_state, &list).await?;
    let test = match part {
        Some(part) => Some(part.noted(&app).await),
        None => None,
    };
    tidy(&mut unknown);
    let model = model.reference();
    Ok(Json(Recommendations { user, model, items, unknown_items: unknown, test }))
}

fn either() -> ApiError {
    ApiError::invalid("either `user` or `items` is needed, and not both")
}

/// A list with items of both arms in turn.
async fn interleaved(app: &Arc<App>, part: TestPart<'_>, ask: &Ask) -> ApiResult<Json<Recommendations>> {
    let TestPart { trial, user } = part;
    let hour = (app.clock)() / HOUR;
    let events = app.store.of_user(user).await?;
    let mut unknown = Vec::new();
    let mut both = Vec::new();
    for arm in &trial.arms {
        let mut ask = Ask { offset: 0, top: ask.offset + ask.top, ..ask.clone() };
        ask.adopt(arm);
        let wish = Wish::new(app.clone(), ask, &mut unknown).await?;
        let state = user_state(&wish.model, user, &events).ok_or_else(|| ApiError::unknown_user(user))?;
        let list = wish.list(&state).await?;
        both.push((wish, state, list));
    }
    let (second, first) = (both.pop().expect("two arms"), both.pop().expect("two arms"));
    // Models number items each in its own way.
    let shelves = (&first.0.model.shelf, &second.0.model.shelf);
    let number = |&(item, score): &(u32, f32)| Some((shelves.0.number(&shelves.1.id(item))?, score));
    let other: Vec<(u32, f32)> = second.2.iter().filter_map(number).collect();
    let coin = |round: usize| {
        let key = format!("{}\0{user}\0{hour}\0{round}", trial.name);
        blake3::hash(key.as_bytes()).as_bytes()[0] & 1 == 1
    };
    let Drafted { mut list, mut teams } = drafted([&first.2, &other], ask.offset + ask.top, coin);
    let passed = ask.offset.min(list.len());
    (list, teams) = (list.split_off(passed), teams.split_off(passed));
    let own = |team: u8| -> Vec<String> {
        let of_it = list.iter().zip(&teams).filter(|(_, of)| **of == Some(team));
        of_it.map(|((item, _), _)| shelves.0.id(*item)).collect()
    };
    let arms = trial.arms.iter().zip([own(0), own(1)]);
    let shown: Vec<_> =
        arms.map(|(arm, items)| (arm.name.clone(), items)).filter(|s| !s.1.is_empty()).collect();
    part.note(app, shown).await;
    let wish = Wish { ask: ask.clone(), ..first.0 };
    let items = wish.shown(first.1, &list).await?;
    tidy(&mut unknown);
    let test = Some(part.of_no_arm());
    let (user, model) = (Some(user.to_string()), wish.model.reference());
    Ok(Json(Recommendations { user, model, items, unknown_items: unknown, test }))
}

/// The list of a user of many.
async fn list_of(wish: &Wish, user: String) -> ApiResult<ListOfUser> {
    let events = wish.app.store.of_user(&user).await?;
    let state = user_state(&wish.model, &user, &events);
    let known = state.is_some();
    let state = state.unwrap_or_default();
    let list = wish.list(&state).await?;
    Ok(ListOfUser { user, known, items: wish.shown(state, &list).await? })
}

fn tidy(unknown: &mut Vec<String>) {
    unknown.sort_unstable();
    unknown.dedup();
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
