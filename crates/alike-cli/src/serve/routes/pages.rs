//! Whole pages: all rows of a person in one answer, no item twice.

use std::sync::Arc;

use alike::scorer::best;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::part::{InTest, TestPart};
use super::views::{Item, ModelRef, Ranked};
use crate::serve::error::{ApiError, ApiResult, ErrorResponses};
use crate::serve::extract::{Body, id, whole, whole_or_none, within};
use crate::serve::listing::{self, ListSpec, RowSpec};
use crate::serve::model::ModelSnapshot;
use crate::serve::people::{UserState, user_state};
use crate::serve::scenarios::{Kind, Scenario};
use crate::serve::shelf::Selection;
use crate::serve::state::{App, Which};
use crate::serve::trials::{TrialKind, TrialReports};

/// Rows of a page.
const ROWS: usize = 20;
/// Items of a session, and items to leave out.
const ITEMS: usize = 1000;
/// Items that are looked at for a row that is no ranking of the model's.
const LOOKED_AT: usize = 2000;
/// Days of what is trending, where nothing else is said.
const DAYS: f64 = 7.0;

/// For whom a page is, and which rows it has.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PageAsk {
    /// A user's id; one that nobody knows gets what suits most people.
    user: Option<String>,
    /// Items that somebody without an id took: a session. At most 1000.
    #[schema(max_items = 1000)]
    items: Option<Vec<String>>,
    /// The item that the page shows, for rows that come from it.
    item: Option<String>,
    /// Names of the rows, in their order; all scenarios of the server without them. At most 20.
    #[schema(max_items = 20)]
    rows: Option<Vec<String>>,
    /// Items to leave out. At most 1000.
    #[schema(max_items = 1000)]
    deny: Vec<String>,
    /// Number of items of each row, in the place of what its scenario says.
    #[schema(minimum = 1, maximum = 100)]
    #[serde(deserialize_with = "whole_or_none")]
    top: Option<usize>,
    /// How many of the best of each row to pass over: one row goes on where an earlier page ended. With
    /// `deny` for what that page showed in other rows.
    #[schema(minimum = 0, maximum = 1000, default = 0)]
    #[serde(deserialize_with = "whole")]
    offset: usize,
    /// Which model.
    model: Which,
    /// A test of this server (`--tests`): the arm that the user is in decides about the model and which
    /// scenarios take the places of others, and that they were shown its page is noted. Not one of
    /// interleaved lists.
    test: Option<String>,
}

/// A page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WholePage {
    /// The user, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Whether anything is known of them.
    known: bool,
    /// Which checkpoint answered.
    model: ModelRef,
    /// The rows that have items, in their order. No item is in two of them.
    rows: Vec<PageRow>,
    /// The test, where the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<InTest>,
}

/// A row of a page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageRow {
    /// The scenario that was asked for.
    name: String,
    /// The one that filled the row: another where a fallback took its place.
    filled_by: String,
    /// How the list was made.
    kind: Kind,
    /// For people.
    title: String,
    /// The item that the list comes from, where it comes from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_item: Option<Item>,
    /// The items, best first; scores are comparable within a row only.
    items: Vec<Ranked>,
}

/// A scenario.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScenarioView {
    /// Its name.
    name: String,
    /// Its title; `{item}` stands for that of the item that it comes from.
    title: String,
    /// How it is made.
    kind: Kind,
    /// Number of items.
    top: usize,
    /// What takes its place where it has too few items.
    fallback: Vec<String>,
}

/// The scenarios of this server
///
/// Those of the file that it was started with (`--scenarios`), otherwise one of each kind.
#[utoipa::path(get, path = "/v1/scenarios", operation_id = "scenarios",
    tag = "recommend", security(("key" = ["read"])),
    responses((status = 200, description = "The scenarios, in the order of a page", body = [ScenarioView]), ErrorResponses))]
pub(crate) async fn scenarios(State(app): State<Arc<App>>) -> Json<Vec<ScenarioView>> {
    let one = |s: &Scenario| ScenarioView {
        name: s.name.clone(),
        title: s.title.clone(),
        kind: s.kind,
        top: s.top,
        fallback: s.fallback.clone(),
    };
    Json(app.scenarios.all().iter().map(one).collect())
}

/// What came of the tests of this server so far
///
/// Intervals hold at all times at once: looking every day, and ending a test when its verdict is no longer
/// open, is wrong no more often than its level says.
#[utoipa::path(get, path = "/v1/tests", operation_id = "tests",
    tag = "model", security(("key" = ["read"])),
    responses((status = 200, description = "The tests", body = TrialReports), ErrorResponses))]
pub(crate) async fn trials(State(app): State<Arc<App>>) -> ApiResult<Json<TrialReports>> {
    Ok(Json(TrialReports::of(&app.trials, &app.store).await?))
}

/// All rows of a page
///
/// Each row is a scenario: what the model recommends, what is like an item, what is taken together, popular,
/// trending, new, what similar people took, what somebody looked at last. A row with too few items gives way
/// to its fallbacks, or is left out.
#[utoipa::path(post, path = "/v1/page", operation_id = "page",
    tag = "recommend", security(("key" = ["read"])), request_body = PageAsk,
    responses((status = 200, description = "The page", body = WholePage), ErrorResponses))]
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    Body(ask): Body<PageAsk>,
) -> ApiResult<Json<WholePage>> {
    let part = TestPart::of(&app, ask.test.as_deref(), ask.user.as_deref())?;
    if part.is_some_and(|part| part.trial.kind == TrialKind::Interleaving) {
        return Err(ApiError::invalid("`test` is of interleaved lists; allowed: those that have arms"));
    }
    let arm = part.and_then(|part| part.arm());
    let model = app.model(arm.map_or(ask.model, |arm| arm.model))?;
    within("number of `rows`", ask.rows.as_ref().map_or(0, Vec::len), 0, ROWS)?;
    within("number of `items`", ask.items.as_ref().map_or(0, Vec::len), 0, ITEMS)?;
    within("number of `deny`", ask.deny.len(), 0, ITEMS)?;
    within("offset", ask.offset, 0, ITEMS)?;
    within("top", ask.top.unwrap_or(1), 1, 100)?;
    let scenarios = match &ask.rows {
        None => app.scenarios.all().iter().take(ROWS).collect(),
        Some(names) => names.iter().map(|name| found(&app, name)).collect::<ApiResult<Vec<_>>>()?,
    };
    let mut rows = Rows::new(&app, model.clone(), &ask).await?;
    let mut filled = Vec::new();
    for scenario in scenarios {
        let other = arm.and_then(|arm| app.scenarios.get(arm.rows.get(&scenario.name)?));
        let row = rows.fill(other.unwrap_or(scenario)).await?;
        filled.extend(row.map(|row| PageRow { name: scenario.name.clone(), ..row }));
    }
    let known = rows.known;
    let test = match part {
        Some(part) => Some(part.noted(&app).await),
        None => None,
    };
    Ok(Json(WholePage { user: ask.user.clone(), known, model: model.reference(), rows: filled, test }))
}

fn found<'a>(app: &'a App, name: &str) -> ApiResult<&'a Scenario> {
    let unknown = || {
        let text = format!("`rows` has {name}; allowed: {}", app.scenarios.names());
        ApiError::invalid(text)
    };
    app.scenarios.get(name).ok_or_else(unknown)
}

/// What the rows of a page share.
struct Rows<'a> {
    app: &'a App,
    model: Arc<ModelSnapshot>,
    person: UserState,
    known: bool,
    /// The item of the page, and the one that they took last.
    item: Option<u32>,
    latest: Option<u32>,
    /// What they looked at, newest first.
    viewed: Vec<u32>,
    /// What no row may hold (any more), ascending.
    shown: Vec<u32>,
    top: Option<usize>,
    offset: usize,
    now: i64,
}

impl<'a> Rows<'a> {
    async fn new(app: &'a App, model: Arc<ModelSnapshot>, ask: &PageAsk) -> ApiResult<Self> {
        let number = |name: &String| model.shelf.number(name);
        let (mut person, mut latest, mut viewed, mut known) = (None, None, Vec::new(), false);
        match (&ask.user, &ask.items) {
            (Some(user), None) => {
                let events = app.store.of_user(id("user", user)?).await?;
                person = user_state(&model, user, &events);
                known = person.is_some();
                let taken = |item: &u32| {
                    let of = |p: &UserState| p.person.history.contains(item) || p.new.contains(item);
                    person.as_ref().is_some_and(of)
                };
                let open = |item: &u32| model.shelf.is_open(*item, (app.clock)());
                latest = events.iter().filter_map(|event| number(&event.item)).filter(open).find(taken);
                let views = app.store.views_of(user).await?;
                viewed = views.iter().filter_map(|event| number(&event.item)).collect();
            }
            (None, Some(items)) => {
                let mut history: Vec<u32> = items.iter().filter_map(number).collect();
                latest = history.last().copied();
                history.sort_unstable();
                history.dedup();
                known = !history.is_empty();
                person = Some(UserState::of_items(&model, history));
            }
            (None, None) => {}
            (Some(_), Some(_)) => return Err(ApiError::invalid("`user` and `items` are not both allowed")),
        }
        let item = match &ask.item {
            Some(name) => Some(number(name).ok_or_else(|| ApiError::unknown_item(name))?),
            None => None,
        };
        let person = person.unwrap_or_default();
        let mut shown: Vec<u32> = ask.deny.iter().filter_map(number).chain(item).collect();
        shown.extend(&person.disliked);
        shown.sort_unstable();
        shown.dedup();
        let (top, offset, now) = (ask.top, ask.offset, (app.clock)());
        Ok(Self { app, now, model, person, known, item, latest, viewed, shown, top, offset })
    }

    /// The row of a scenario or of its first fallback with enough items; none where there is none.
    async fn fill(&mut self, asked: &Scenario) -> ApiResult<Option<PageRow>> {
        let fallbacks = asked.fallback.iter().filter_map(|name| self.app.scenarios.get(name));
        for scenario in std::iter::once(asked).chain(fallbacks) {
            let Some((list, from)) = self.list(scenario).await? else { continue };
            // Of a later part of a row there may be little left.
            if list.len() < if self.offset > 0 { 1 } else { scenario.least.max(1) } {
                continue;
            }
            self.shown.extend(list.iter().map(|l| l.0));
            self.shown.sort_unstable();
            let from_item = from.map(|item| self.model.shown(item));
            let named = from_item.as_ref().map(|item| item.title.as_ref().unwrap_or(&item.item));
            return Ok(Some(PageRow {
                name: asked.name.clone(),
                filled_by: scenario.name.clone(),
                kind: scenario.kind,
                title: named.map_or_else(|| scenario.title.clone(), |n| scenario.title.replace("{item}", n)),
                items: self.model.ranked(&list, self.offset),
                from_item,
            }));
        }
        Ok(None)
    }

    /// The items of a scenario, and the one that they come from; none where it says nothing here.
    async fn list(&self, scenario: &Scenario) -> ApiResult<Option<(Vec<(u32, f32)>, Option<u32>)>> {
        let model = &self.model;
        let filter: Vec<Selection> =
            scenario.rules.filter.clone().map(Selection::Filter).into_iter().collect();
        let within = listing::within(self.app, model, filter).await?;
        let from = match scenario.kind {
            Kind::Because => self.latest,
            Kind::Related => self.item,
            Kind::BoughtTogether => self.item.or(self.latest),
            _ => None,
        };
        let comes_from_one = matches!(scenario.kind, Kind::Because | Kind::Related | Kind::BoughtTogether);
        if comes_from_one && from.is_none() {
            return Ok(None);
        }
        let seen = if scenario.unseen && scenario.kind != Kind::Continue { &self.viewed[..] } else { &[] };
        if scenario.kind == Kind::ForYou {
            if self.person.person.history.is_empty() && self.person.person.user.is_none() {
                return Ok(None);
            }
            let spec = ListSpec {
                top: self.top.unwrap_or(scenario.top),
                offset: self.offset,
                exclude_seen: true,
                denied: [&self.shown, seen].concat(),
                within,
                diversity: scenario.diversity,
                rules: &scenario.rules,
            };
            return Ok(Some((listing::list(self.app, model, &self.person, spec).await?, None)));
        }
        let mut hidden = [&self.shown, seen].concat();
        hidden.extend(self.person.person.history.iter().chain(&self.person.new));
        hidden.sort_unstable();
        let (top, offset) = (self.top.unwrap_or(scenario.top), self.offset);
        let spec = RowSpec { scenario, top, offset, hidden: &hidden, within };
        let found = self.found(&spec, from).await?;
        Ok(Some((listing::row(self.app, model, found, spec).await?, from)))
    }

    /// What a scenario is made from, best first.
    async fn found(&self, spec: &RowSpec<'_>, from: Option<u32>) -> ApiResult<Vec<(u32, f32)>> {
        let (model, shelf, counts) = (self.model.clone(), &self.model.shelf, &self.app.counts);
        let numbered = |list: &[(String, f32)]| -> Vec<(u32, f32)> {
            list.iter().filter_map(|(name, weight)| Some((shelf.number(name)?, *weight))).collect()
        };
        Ok(match (spec.scenario.kind, spec.scenario.days) {
            (Kind::ForYou, _) => Vec::new(),
            (Kind::Because | Kind::Related, _) => {
                let item = from.expect("there is an item that it comes from");
                let like = move || match model.shelf.between(item) {
                    Some(between) => Ok(between),
                    None => model.similar(item).map(|list| list.to_vec()),
                };
                // A model without vectors has nothing to say here.
                self.app.work.run(like).await?.unwrap_or_default()
            }
            (Kind::BoughtTogether, _) => {
                let item = from.filter(|&item| item < shelf.trained());
                let together = move || item.map(|item| model.recommender.taken_together(item, LOOKED_AT));
                self.app.work.run(together).await?.unwrap_or_default()
            }
            (Kind::SimilarPeople, _) => {
                let person = self.person.person.clone();
                if person.history.is_empty() && person.user.is_none() {
                    return Ok(Vec::new());
                }
                let took = move || {
                    let vectors = model.recommender.vectors(std::slice::from_ref(&person))?;
                    model.recommender.taken_by_similar(&vectors[0], person.user, LOOKED_AT)
                };
                self.app.work.run(took).await?.unwrap_or_default()
            }
            (Kind::Popular, Some(days)) => numbered(&counts.popular(days, self.now)),
            (Kind::Popular, None) => {
                let taken = model.taken().iter().filter(|&&(item, _)| spec.passes(item)).take(LOOKED_AT);
                // Training knows nothing of the new ones.
                let new = |(name, count): (String, u32)| {
                    let item = shelf.number(&name).filter(|&item| item >= shelf.trained())?;
                    Some((item, count as f32))
                };
                let new = counts.totals().into_iter().filter_map(new);
                best(taken.copied().chain(new).collect(), LOOKED_AT)
            }
            (Kind::Trending, days) => numbered(&counts.trending(days.unwrap_or(DAYS), self.now)),
            (Kind::New, _) => shelf.newest(self.now),
            (Kind::Continue, _) => {
                let place = |(at, &item): (usize, &u32)| (item, -(at as f32));
                let mut seen = std::collections::BTreeSet::new();
                self.viewed.iter().filter(|&&item| seen.insert(item)).enumerate().map(place).collect()
            }
        })
    }
}
