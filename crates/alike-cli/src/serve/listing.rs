//! How a list is made: ranked, mixed, and put in order by rules.

use std::sync::Arc;

use alike::scorer::best;
use alike_ops::{ItemSet, Mask};

use super::error::ApiResult;
use super::filter::Filter;
use super::model::ModelSnapshot;
use super::people::UserState;
use super::ranking::RankRequest;
use super::rules::{Rules, UNIT, with_pins};
use super::scenarios::Scenario;
use super::shelf::Selection;
use super::state::App;

/// A list that never gets long enough is not made longer than this to find out.
const LONGEST: usize = 20_000;
/// Items of a row that are put in another order by how different they are.
const MIXED: usize = 200;

/// How a list is to be.
pub(crate) struct ListSpec<'a> {
    pub(crate) top: usize,
    /// How many of the best are passed over.
    pub(crate) offset: usize,
    /// Leaves out what they have.
    pub(crate) exclude_seen: bool,
    /// Items to leave out.
    pub(crate) denied: Vec<u32>,
    /// The only items, if not all.
    pub(crate) within: Option<Arc<ItemSet>>,
    pub(crate) diversity: f32,
    pub(crate) rules: &'a Rules,
}

/// The items of a list, best first, each with its score.
pub(crate) async fn list(
    app: &App,
    model: &Arc<ModelSnapshot>,
    state: &UserState,
    spec: ListSpec<'_>,
) -> ApiResult<Vec<(u32, f32)>> {
    let ListSpec { top, offset, exclude_seen, denied, within, diversity, rules } = spec;
    let unwanted = [denied, state.disliked.clone()].concat();
    let mut hidden = unwanted.clone();
    if exclude_seen {
        hidden.extend(state.person.history.iter().chain(&state.new));
    }
    let open = |item: u32| model.shelf.is_open(item, (app.clock)()) && !unwanted.contains(&item);
    let pins = rules.pins(&model.shelf, &open);
    // They stand where they are told to, on this page of the list or on another.
    hidden.extend(pins.iter().map(|&(_, item)| item));
    hidden.sort_unstable();
    hidden.dedup();
    let wanted = offset + top;
    // More than are asked for, so that there is something to choose from.
    let most = if diversity > 0.0 { wanted + 1000 } else { LONGEST };
    let mut length = match (diversity > 0.0, rules.limits.is_empty()) {
        (true, _) => (wanted * 4).clamp(100, most),
        (false, true) => wanted,
        (false, false) => wanted * 4,
    };
    let parts = parts(app, model, rules, within.clone()).await?;
    let filter = Filter { hidden, within, candidates: None, top: length };
    let list = loop {
        let filter = Filter { top: length, ..filter.clone() };
        let ranked = match &parts {
            None => rank(app, model, state, filter).await?,
            Some(parts) => boosted(app, model, state, filter, parts).await?,
        };
        let exhausted = ranked.len() < length || length >= most;
        // Limits pass over some of what is mixed.
        let chosen = if rules.limits.is_empty() { wanted } else { length };
        let mixed = if diversity > 0.0 { mix(app, model, ranked, diversity, chosen).await? } else { ranked };
        let list = rules.limited(&model.shelf, &mixed, wanted);
        if list.len() == wanted || exhausted || rules.limits.is_empty() {
            break list;
        }
        length = (length * 4).min(most);
    };
    let mut list = with_pins(list, &pins, wanted);
    Ok(list.split_off(offset.min(list.len())))
}

/// The items that may be listed now and are all of `wanted`; `None` for all. Sets that are not ready are made
/// where work may take its time.
pub(crate) async fn within(
    app: &App,
    model: &Arc<ModelSnapshot>,
    wanted: Vec<Selection>,
) -> ApiResult<Option<Arc<ItemSet>>> {
    let now = (app.clock)();
    if wanted.iter().all(|which| model.shelf.is_kept(which)) {
        return Ok(model.shelf.set(now, &wanted));
    }
    let model = model.clone();
    app.work.run(move || model.shelf.set(now, &wanted)).await
}

/// The parts of `within` that the rules boost alike; none where they boost nothing.
pub(crate) async fn parts(
    app: &App,
    model: &Arc<ModelSnapshot>,
    rules: &Rules,
    within: Option<Arc<ItemSet>>,
) -> ApiResult<Option<Vec<(Arc<ItemSet>, f32)>>> {
    if rules.is_plain() {
        return Ok(None);
    }
    let (model, rules) = (model.clone(), rules.clone());
    app.work.run(move || Some(rules.parts(&model.shelf, within))).await
}

/// The best items.
async fn rank(
    app: &App,
    model: &Arc<ModelSnapshot>,
    state: &UserState,
    mut filter: Filter,
) -> ApiResult<Vec<(u32, f32)>> {
    let items = model.recommender.run().data.items.len();
    let person = state.person.clone();
    // Candidates from the database in the place of all items, where there is such an index and it helps.
    if model.index.asks_a_database(&filter, items) {
        let (placed, who) = (model.clone(), person.clone());
        let vectors = app.work.run(move || placed.recommender.vectors(&[who])).await??;
        let candidates = model.index.candidates_of_database(&filter, &model.recommender, &vectors[0]).await;
        filter.narrow(candidates);
    }
    app.ranking.rank(RankRequest { model: model.clone(), person, filter }).await
}

/// The best items by boosted scores, from the best of each part of the catalogue.
async fn boosted(
    app: &App,
    model: &Arc<ModelSnapshot>,
    state: &UserState,
    filter: Filter,
    parts: &[(Arc<ItemSet>, f32)],
) -> ApiResult<Vec<(u32, f32)>> {
    let top = filter.top;
    let plain = rank(app, model, state, Filter { top: UNIT, ..filter.clone() }).await?;
    let unit = match (plain.first(), plain.last()) {
        (Some(first), Some(last)) => first.1 - last.1,
        _ => return Ok(plain),
    };
    let mut all = Vec::new();
    for (set, weight) in parts {
        let filter = Filter { within: Some(set.clone()), ..filter.clone() };
        let list = rank(app, model, state, filter).await?;
        all.extend(list.into_iter().map(|(item, score)| (item, score + weight * unit)));
    }
    Ok(best(all, top))
}

/// `top` of a list with other items between.
async fn mix(
    app: &App,
    model: &Arc<ModelSnapshot>,
    list: Vec<(u32, f32)>,
    diversity: f32,
    top: usize,
) -> ApiResult<Vec<(u32, f32)>> {
    let model = model.clone();
    let pool = if top.min(list.len()) * list.len() > app.limits.long { &app.long } else { &app.work };
    pool.run(move || model.shelf.diversified(&list, diversity, top)).await
}

/// What a row of a page is made of that is no ranking of the model's.
pub(crate) struct RowSpec<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) top: usize,
    /// How many of the best are passed over.
    pub(crate) offset: usize,
    /// Items to leave out, ascending.
    pub(crate) hidden: &'a [u32],
    /// The only items, if not all.
    pub(crate) within: Option<Arc<ItemSet>>,
}

impl RowSpec<'_> {
    /// Whether an item may be in the row.
    pub(crate) fn passes(&self, item: u32) -> bool {
        Mask { hidden: self.hidden, among: self.within.as_ref() }.passes(item)
    }
}

/// What passes of `found`, best first, put in order by the rules of its scenario.
pub(crate) async fn row(
    app: &App,
    model: &Arc<ModelSnapshot>,
    found: Vec<(u32, f32)>,
    spec: RowSpec<'_>,
) -> ApiResult<Vec<(u32, f32)>> {
    let (Scenario { rules, diversity, .. }, wanted) = (spec.scenario, spec.top + spec.offset);
    let now = (app.clock)();
    let open = |item: u32| model.shelf.is_open(item, now) && spec.hidden.binary_search(&item).is_err();
    let pins = rules.pins(&model.shelf, &open);
    let organic = |item: u32| spec.passes(item) && !pins.iter().any(|&(_, pinned)| pinned == item);
    let mut list: Vec<(u32, f32)> = found.into_iter().filter(|&(item, _)| organic(item)).collect();
    if let Some(parts) = parts(app, model, rules, spec.within).await? {
        let hundredth = list.get(UNIT - 1).or(list.last()).map_or(0.0, |last| last.1);
        let unit = list.first().map_or(0.0, |first| first.1) - hundredth;
        for (set, weight) in parts {
            list.iter_mut().filter(|l| set.contains(l.0)).for_each(|l| l.1 += weight * unit);
        }
        let all = list.len();
        list = best(list, all);
    }
    if *diversity > 0.0 {
        let mixed = list.split_off(MIXED.min(list.len()));
        list = mix(app, model, list, *diversity, MIXED).await?;
        list.extend(mixed);
    }
    let mut list = with_pins(rules.limited(&model.shelf, &list, wanted), &pins, wanted);
    Ok(list.split_off(spec.offset.min(list.len())))
}
