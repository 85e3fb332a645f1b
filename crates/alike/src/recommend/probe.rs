//! One answer of each kind, before a run answers for people.

use super::{PeopleRequest, Recommender, UserHistory};
use crate::error::{Error, Result};

impl Recommender {
    /// Answers once for somebody whom training knew, for somebody new and for nobody in particular, so that a
    /// run whose parts do not go together is told from one that answers. Takes about as long as one request
    /// of each kind.
    ///
    /// # Errors
    /// A row is not as wide as those of the scorer; a list is empty or holds scores that are not finite.
    ///
    /// # Panics
    /// Where answering panics: anyone who must go on catches that.
    pub fn probe(&self) -> Result<()> {
        let bad = |what: &str| Err(Error::checkpoint(&self.run.dir, format!("cannot answer: {what}")));
        let (users, items) = (self.run.data.users.len(), self.run.data.items.len());
        if items == 0 {
            return bad("there are no items");
        }
        let last = users.checked_sub(1).map(|user| self.history_of(user as u32));
        let new = UserHistory { user: None, history: vec![items as u32 - 1] };
        let people: Vec<UserHistory> = last.into_iter().chain([new, UserHistory::default()]).collect();
        let vectors = self.vectors(&people)?;
        let width = self.run.scorer.user_row(0).map_or(0, <[f32]>::len);
        if vectors.iter().any(|t| t.row.len() != width) {
            return bad("its fold-in gives rows of another width than its users have");
        }
        let finite = |list: &[(u32, f32)]| !list.is_empty() && list.iter().all(|i| i.1.is_finite());
        let lists = self.rank(&PeopleRequest::new(&vectors, items.min(10)));
        if !lists.iter().all(|list| finite(list)) {
            return bad("a list is empty or holds scores that are not finite");
        }
        for ((person, vector), list) in people.iter().zip(&vectors).zip(&lists) {
            let some: Vec<u32> = list.iter().map(|i| i.0).collect();
            let request = PeopleRequest::new(std::slice::from_ref(vector), 1).among(&some);
            if !finite(&self.rank(&request)[0]) {
                return bad("an item has a score that is not finite");
            }
            self.diversified(list, 0.5, 2);
            self.reasons(person, &some[..1], 1)?;
            // Some kinds of models have no vectors to compare by; that is an answer too.
            let _ = self.similar_users(vector, person.user, 1);
        }
        let _ = self.run.scorer.similar(0, 1);
        for features in &self.run.data.features {
            self.nearest(&features.name, &features.values()[..features.dim], 1)?;
        }
        Ok(())
    }
}
