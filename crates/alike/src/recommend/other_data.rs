//! What a recommender would have answered to the people of other data, newer ones mostly.

use super::{PeopleRequest, Recommender, UserHistory};
use crate::data::Dataset;
use crate::error::Result;
use crate::eval::{CUTS, Protocol, Ranked, Split, asked, rank_given};
use crate::progress::Progress;

/// People who are ranked for at once.
const TOGETHER: usize = 1024;

impl Recommender {
    /// Lists for everybody in `data` with held-out items, from what they took there before these, as a server
    /// would make them. Users and items are matched by id: who is new here goes by their history, and an item
    /// that only `data` have is in no list. So runs of different data are compared on the same questions.
    ///
    /// # Errors
    /// The split is empty; [`Error::Interrupted`](crate::Error::Interrupted) when it was stopped.
    pub fn rank_on<'a>(
        &self,
        data: &'a Dataset,
        split: Split,
        protocol: Protocol,
        progress: &dyn Progress,
    ) -> Result<Ranked<'a>> {
        let own = &self.run().data;
        let (_, asked) = asked(data, split)?;
        let here: Vec<Option<u32>> = data.items.names().map(|name| own.items.get(name)).collect();
        let there: Vec<Option<u32>> = own.items.names().map(|name| data.items.get(name)).collect();
        let person = |&u: &u32| {
            let valid = if split == Split::Test { data.valid.row(u as usize) } else { &[] };
            let taken = data.train.row(u as usize).iter().chain(valid);
            let mut history: Vec<u32> = taken.filter_map(|&item| here[item as usize]).collect();
            history.sort_unstable();
            history.dedup();
            UserHistory { user: own.users.get(data.users.name(u)), history }
        };
        let mut lists = vec![Vec::new(); data.users.len()];
        let parts = progress.phase("answering for users", asked.len())?;
        for some in asked.chunks(TOGETHER) {
            let people: Vec<UserHistory> = some.iter().map(person).collect();
            let vectors = self.vectors(&people)?;
            let hidden: Vec<&[u32]> = people.iter().map(|p| &p.history[..]).collect();
            let found = self.rank(&PeopleRequest::new(&vectors, CUTS[CUTS.len() - 1]).hiding(&hidden));
            for (&user, list) in some.iter().zip(found) {
                lists[user as usize] = list.iter().filter_map(|&(item, _)| there[item as usize]).collect();
            }
            parts.add(some.len())?;
        }
        rank_given(&lists, data, split, protocol)
    }
}
