//! What a request for lists asks for, and how it is answered.

use std::sync::Arc;

use alike::recommend::HISTORY_LOOKED_AT;
use alike_ops::ItemSet;
use serde::Deserialize;
use utoipa::ToSchema;

use super::views::{MAX_LISTED, Ranked, Why};
use crate::serve::error::{ApiError, ApiResult};
use crate::serve::extract::{whole, within};
use crate::serve::listing::{self, ListSpec};
use crate::serve::model::ModelSnapshot;
use crate::serve::people::UserState;
use crate::serve::rules::Rules;
use crate::serve::shelf::Selection;
use crate::serve::state::{App, Which};
use crate::serve::trials::Arm;

/// Maximum of items that `allow` or `deny` may name.
const MAX_FILTERED: usize = 10_000;
/// Maximum of reasons per item.
const MAX_REASONS: usize = 10;

/// For whom, and how the list is to be. Either `user` or `items` is needed.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ask {
    /// A user's id.
    pub(super) user: Option<String>,
    /// Items that somebody took, known to the model or not: a basket, a session. At most 1000; none: what
    /// suits most people.
    #[schema(max_items = 1000)]
    pub(super) items: Option<Vec<String>>,
    /// Number of items.
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    #[serde(deserialize_with = "whole")]
    pub(super) top: usize,
    /// Leave out what they have already.
    #[schema(default = true)]
    pub(super) exclude_seen: bool,
    /// Only items of this category, in any case of letters.
    pub(super) category: Option<String>,
    /// Rank only these items. At most 10 000.
    #[schema(max_items = 10_000)]
    pub(super) allow: Option<Vec<String>>,
    /// Leave these items out. At most 10 000.
    #[schema(max_items = 10_000)]
    pub(super) deny: Vec<String>,
    /// How different the items are to be from one another, 0 to 1.
    #[schema(minimum = 0, maximum = 1, default = 0)]
    pub(super) diversity: f32,
    /// Maximum of reasons per item.
    #[schema(minimum = 0, maximum = 10, default = 0)]
    #[serde(deserialize_with = "whole")]
    pub(super) reasons: usize,
    /// How many of the best to pass over: the list goes on where an earlier one ended. With `top` at most
    /// 1000.
    #[schema(minimum = 0, maximum = 999, default = 0)]
    #[serde(deserialize_with = "whole")]
    pub(super) offset: usize,
    /// Rules of the list.
    pub(super) rules: Rules,
    /// Which model.
    pub(super) model: Which,
    /// A test of this server (`--tests`): the arm that the user is in decides about model, diversity and
    /// rules, and that they were shown its list is noted.
    pub(super) test: Option<String>,
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
            test: None,
        }
    }
}

impl Ask {
    /// Checks the numbers.
    pub(super) fn check(&self) -> ApiResult<()> {
        within("top", self.top, 1, MAX_LISTED)?;
        within("diversity", self.diversity, 0.0, 1.0)?;
        within("reasons", self.reasons, 0, MAX_REASONS)?;
        within("number of `allow`", self.allow.as_ref().map_or(0, Vec::len), 0, MAX_FILTERED)?;
        within("number of `deny`", self.deny.len(), 0, MAX_FILTERED)?;
        within("offset + top", self.offset.saturating_add(self.top), 1, MAX_LISTED)?;
        self.rules.check()
    }

    /// Takes over what an arm of a test says.
    pub(super) fn adopt(&mut self, arm: &Arm) {
        self.model = arm.model;
        self.diversity = arm.diversity.unwrap_or(self.diversity);
        self.rules = arm.rules.clone().unwrap_or_else(|| std::mem::take(&mut self.rules));
    }
}

/// A request for lists, with all of it that is the same for everybody.
pub(super) struct Wish {
    pub(super) app: Arc<App>,
    pub(super) ask: Ask,
    pub(super) model: Arc<ModelSnapshot>,
    pub(super) denied: Vec<u32>,
    pub(super) within: Option<Arc<ItemSet>>,
}

impl Wish {
    /// Looks up what the request names; what nobody knows is put to `unknown`.
    pub(super) async fn new(app: Arc<App>, ask: Ask, unknown: &mut Vec<String>) -> ApiResult<Self> {
        let model = app.model(ask.model)?;
        let pinned = ask.rules.pinned_ids().filter(|id| model.shelf.number(id).is_none());
        unknown.extend(pinned.cloned());
        let denied = item_numbers(&model, &ask.deny, unknown);
        let within = allowed_items(&app, &model, &ask, unknown).await?;
        Ok(Self { app, ask, model, denied, within })
    }

    /// The list of somebody.
    pub(super) async fn list(&self, state: &UserState) -> ApiResult<Vec<(u32, f32)>> {
        let spec = ListSpec {
            top: self.ask.top,
            offset: self.ask.offset,
            exclude_seen: self.ask.exclude_seen,
            denied: self.denied.clone(),
            within: self.within.clone(),
            diversity: self.ask.diversity,
            rules: &self.ask.rules,
        };
        listing::list(&self.app, &self.model, state, spec).await
    }

    /// A list of theirs as answers show it, with reasons where they are asked for.
    pub(super) async fn shown(&self, state: UserState, list: &[(u32, f32)]) -> ApiResult<Vec<Ranked>> {
        let (app, most) = (&self.app, self.ask.reasons);
        let mut items = self.model.ranked(list, self.ask.offset);
        if most > 0 {
            let listed: Vec<u32> = list.iter().map(|l| l.0).collect();
            let model = self.model.clone();
            // Short ones need not wait for long ones.
            let cost = listed.len() * state.person.history.len().min(HISTORY_LOOKED_AT);
            let pool = if cost > app.limits.long { &app.long } else { &app.work };
            let why = pool.run(move || reasons(&model, &state, &listed, most)).await??;
            items.iter_mut().zip(why).for_each(|(item, why)| item.reasons = why);
        }
        Ok(items)
    }
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
pub(super) fn item_numbers(model: &ModelSnapshot, ids: &[String], unknown: &mut Vec<String>) -> Vec<u32> {
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
