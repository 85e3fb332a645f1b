//! What names a parameter: its place, or a table of users, items or nodes, whose rows only numbers of the
//! same kind pick.

use std::marker::PhantomData;

use bytemuck::TransparentWrapper;

use crate::data::Dataset;
use crate::ids::{ItemId, NodeId, UserId};

/// Place of a parameter in its [`Params`](crate::layers::Params).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamId(pub(super) usize);

/// Whose rows a table holds, one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Users.
    Users,
    /// Items.
    Items,
    /// Users, then items.
    Nodes,
}

/// Numbers that name rows of a table.
pub trait Row: TransparentWrapper<u32> {
    /// Whose rows they are.
    const ROWS: Rows;
}

impl Row for UserId {
    const ROWS: Rows = Rows::Users;
}

impl Row for ItemId {
    const ROWS: Rows = Rows::Items;
}

impl Row for NodeId {
    const ROWS: Rows = Rows::Nodes;
}

/// A trained table with a row for each user, item or node; only numbers of the same kind pick rows of it.
#[derive(Debug)]
pub struct Table<R> {
    id: ParamId,
    rows: PhantomData<R>,
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Table<R> {}

impl<R> Table<R> {
    /// The table that is the parameter `id`.
    pub(super) fn new(id: ParamId) -> Self {
        Self { id, rows: PhantomData }
    }

    /// The table as a parameter.
    pub fn id(self) -> ParamId {
        self.id
    }
}

impl Rows {
    /// Number of rows of a table.
    pub(super) fn count(self, data: &Dataset) -> usize {
        match self {
            Self::Users => data.users.len(),
            Self::Items => data.items.len(),
            Self::Nodes => data.users.len() + data.items.len(),
        }
    }

    /// The row in a table of `from` of the user or item that has row `at` in one of `data`.
    pub(super) fn place(self, at: u32, data: &Dataset, from: &Dataset) -> Option<u32> {
        let users = data.users.len() as u32;
        match self {
            Self::Users => from.users.get(data.users.name(at)),
            Self::Items => from.items.get(data.items.name(at)),
            Self::Nodes if at < users => Self::Users.place(at, data, from),
            Self::Nodes => Self::Items.place(at - users, data, from).map(|i| i + from.users.len() as u32),
        }
    }
}
