//! One file a family of routes.

mod asked;
pub(crate) mod changes;
pub(crate) mod events;
pub(crate) mod items;
pub(crate) mod model;
pub(crate) mod overview;
pub(crate) mod page;
pub(crate) mod pages;
mod part;
pub(crate) mod recommend;
pub(crate) mod search;
pub(crate) mod status;
pub(crate) mod users;
mod views;
