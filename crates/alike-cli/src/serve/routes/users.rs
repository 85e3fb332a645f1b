//! Users: who they are like, what they took, and how they are forgotten.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::views::{Item, MAX_LISTED, ModelRef};
use crate::serve::error::{ApiResult, ErrorResponses};
use crate::serve::extract::{Path, Query, id, within};
use crate::serve::state::{App, Which};
use crate::serve::store::{self, EventKind};

/// Which user.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct OfUser {
    /// Id of the user.
    #[param(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    pub(super) user: String,
}

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Top {
    /// Number of entries.
    #[param(minimum = 1, maximum = 1000, default = 10)]
    pub(super) top: usize,
    /// Which model.
    #[param(inline)]
    pub(super) model: Which,
}

impl Default for Top {
    fn default() -> Self {
        Self { top: 10, model: Which::Main }
    }
}

/// A search.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Find {
    /// What to look for; empty finds anything.
    #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub(super) query: String,
    /// Number of entries.
    #[param(minimum = 1, maximum = 1000, default = 10)]
    pub(super) top: usize,
    /// Which model.
    #[param(inline)]
    pub(super) model: Which,
}

impl Default for Find {
    fn default() -> Self {
        Self { query: String::new(), top: 10, model: Which::Main }
    }
}

/// Users, most alike first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimilarUsers {
    /// Which checkpoint answered.
    model: ModelRef,
    /// The users.
    users: Vec<SimilarUser>,
}

/// A user and how alike they are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimilarUser {
    /// Their id.
    user: String,
    /// Cosine of the two users' vectors.
    score: f32,
}

/// Users most like one
#[utoipa::path(get, path = "/v1/users/{user}/similar", operation_id = "similar_users",
    tag = "users", security(("key" = ["read"])),
    params(OfUser, Top),
    responses((status = 200, description = "The list", body = SimilarUsers), ErrorResponses))]
pub(crate) async fn similar(
    State(app): State<Arc<App>>,
    Path(OfUser { user }): Path<OfUser>,
    Query(Top { top, model }): Query<Top>,
) -> ApiResult<Json<SimilarUsers>> {
    within("top", top, 1, MAX_LISTED)?;
    let model = app.model(model)?;
    let person = app.user(&model, id("user", &user)?).await?.person;
    let work = move || -> alike::Result<SimilarUsers> {
        let vectors = model.recommender.vectors(std::slice::from_ref(&person))?;
        let found = model.recommender.similar_users(&vectors[0], person.user, top)?;
        let names = &model.recommender.run().data.users;
        let users =
            found.into_iter().map(|(u, score)| SimilarUser { user: names.name(u).to_string(), score });
        Ok(SimilarUsers { model: model.reference(), users: users.collect() })
    };
    Ok(Json(app.work.run(work).await??))
}

/// What somebody did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    /// The user.
    user: String,
    /// Whether the model was trained on them.
    trained: bool,
    /// Number of items that count as their history.
    count: usize,
    /// Their newest events first, then what training and validation had of them.
    items: Vec<Past>,
}

/// Something that somebody did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Past {
    /// The item.
    #[serde(flatten)]
    item: Item,
    /// What they did.
    kind: PastKind,
}

/// Where a part of a history comes from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PastKind {
    /// The model was trained on it, or chosen by it.
    Trained,
    /// An event.
    Take,
    /// An event.
    Like,
    /// An event.
    Dislike,
}

/// What a user took, liked and disliked
#[utoipa::path(get, path = "/v1/users/{user}/history", operation_id = "history",
    tag = "users", security(("key" = ["read"])),
    params(OfUser, Top),
    responses((status = 200, description = "The history", body = History), ErrorResponses))]
pub(crate) async fn history(
    State(app): State<Arc<App>>,
    Path(OfUser { user }): Path<OfUser>,
    Query(Top { top, model }): Query<Top>,
) -> ApiResult<Json<History>> {
    within("top", top, 1, MAX_LISTED)?;
    let model = app.model(model)?;
    let events = app.store.of_user(id("user", &user)?).await?;
    let state = crate::serve::people::user_state(&model, &user, &events)
        .ok_or_else(|| crate::serve::error::ApiError::unknown_user(&user))?;
    let mut seen = std::collections::BTreeSet::new();
    let mut items = Vec::new();
    for event in &events {
        let Some(item) = model.shelf.number(&event.item).filter(|&i| seen.insert(i)) else { continue };
        let kind = match event.kind {
            EventKind::Take => PastKind::Take,
            EventKind::Like => PastKind::Like,
            EventKind::Dislike => PastKind::Dislike,
            EventKind::Remove | EventKind::View | EventKind::Shown => continue,
        };
        items.push((item, kind));
    }
    let trained = state.person.history.iter().filter(|i| !seen.contains(i));
    items.extend(trained.map(|&i| (i, PastKind::Trained)));
    items.truncate(top);
    let items = items.into_iter().map(|(item, kind)| Past { item: model.shown(item), kind }).collect();
    Ok(Json(History {
        user,
        trained: state.person.user.is_some(),
        count: state.person.history.len() + state.new.len(),
        items,
    }))
}

/// Ids of users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Users {
    /// Number of users that the model was trained on.
    trained: usize,
    /// Ids that start with what was looked for.
    users: Vec<String>,
}

/// Users whose ids start with a text
#[utoipa::path(get, path = "/v1/users", operation_id = "find_users",
    tag = "users", security(("key" = ["read"])), params(Find),
    responses((status = 200, description = "The users", body = Users), ErrorResponses))]
pub(crate) async fn find(State(app): State<Arc<App>>, Query(find): Query<Find>) -> ApiResult<Json<Users>> {
    let Find { query, top, model } = find;
    within("top", top, 1, MAX_LISTED)?;
    if !query.is_empty() {
        id("query", &query)?;
    }
    let model = app.model(model)?;
    let new = app.store.users(&query, top).await?;
    let work = move || {
        let names = &model.recommender.run().data.users;
        let exact = names.get(&query).map(|_| query.clone());
        let others = names.names().filter(|n| n.starts_with(&query) && *n != query).map(String::from);
        let new = new.into_iter().filter(|n| names.get(n).is_none());
        Users { trained: names.len(), users: exact.into_iter().chain(new).chain(others).take(top).collect() }
    };
    Ok(Json(app.work.run(work).await?))
}

/// How much was forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Forgotten {
    /// Number of events that were removed.
    events: u64,
    /// Whether what was removed may still lie in the database's files, where no query finds it.
    pending: bool,
    /// What is waited for, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<&'static str>,
}

/// Forget a user
///
/// Removes every event of theirs from the store: from now on no answer knows of them. 200 says that nothing
/// of it is left in the store's files either; 202, that the database has yet to clear it from there, and
/// asking again tells whether it has. In PostgreSQL that is up to its VACUUM, of which the server does not
/// hear: there the answer is always 202. What a model has learned in training stays in that model.
#[utoipa::path(delete, path = "/v1/users/{user}", operation_id = "forget_user",
    tag = "users", security(("key" = ["admin"])),
    params(OfUser),
    responses((status = 200, description = "Their events are gone, from the store's files too", body = Forgotten),
        (status = 202, description = "Their events are gone; the store's files are cleared later", body = Forgotten),
        ErrorResponses))]
pub(crate) async fn forget(
    State(app): State<Arc<App>>,
    Path(OfUser { user }): Path<OfUser>,
) -> ApiResult<(StatusCode, Json<Forgotten>)> {
    let store::Erased { events, pending } = app.store.forget(id("user", &user)?).await?;
    app.counts.recount();
    let waits_for = pending.then(|| app.store.waits_for());
    let status = if pending { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(Forgotten { events, pending, waits_for })))
}
