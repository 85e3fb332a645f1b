//! Which items a ranking may hold, one bit for each.

/// A set of items below some number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemSet {
    words: Vec<u64>,
    /// Items that it could hold.
    items: usize,
}

impl ItemSet {
    /// None of `items`.
    pub fn none(items: usize) -> Self {
        Self { words: vec![0; items.div_ceil(64)], items }
    }

    /// All of `items`.
    pub fn all(items: usize) -> Self {
        let mut all = Self { words: vec![u64::MAX; items.div_ceil(64)], items };
        all.cut();
        all
    }

    /// Those of `members`, of `items`.
    ///
    /// # Panics
    /// When a member is not below `items`.
    pub fn of(items: usize, members: impl IntoIterator<Item = u32>) -> Self {
        let mut set = Self::none(items);
        members.into_iter().for_each(|item| set.set(item, true));
        set
    }

    /// How many items it could hold.
    pub fn items(&self) -> usize {
        self.items
    }

    /// How many it holds.
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&w| w == 0)
    }

    /// Whether it holds `item`; of items beyond [`Self::items`], never.
    #[inline]
    pub fn contains(&self, item: u32) -> bool {
        self.words.get(item as usize / 64).is_some_and(|w| w >> (item % 64) & 1 == 1)
    }

    /// Takes `item` in, or out.
    ///
    /// # Panics
    /// When it is not below [`Self::items`].
    pub fn set(&mut self, item: u32, member: bool) {
        assert!((item as usize) < self.items, "item {item} of {}", self.items);
        let (word, bit) = (&mut self.words[item as usize / 64], 1 << (item % 64));
        *word = if member { *word | bit } else { *word & !bit };
    }

    /// The same set among `items` items, which are not fewer than before.
    pub fn grow(&mut self, items: usize) {
        self.items = self.items.max(items);
        self.words.resize(self.items.div_ceil(64), 0);
    }

    /// Leaves those that `other` holds too.
    pub fn intersect(&mut self, other: &Self) {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        self.words.iter_mut().zip(others).for_each(|(a, b)| *a &= b);
    }

    /// Leaves those that `other` does not hold.
    pub fn subtract(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= !b);
    }

    /// Adds those of `other` that are below [`Self::items`].
    pub fn unite(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
        self.cut();
    }

    /// Those that it did not hold.
    pub fn complement(&mut self) {
        self.words.iter_mut().for_each(|w| *w = !*w);
        self.cut();
    }

    /// Its items, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }

    /// Clears the bits beyond the last item.
    fn cut(&mut self) {
        if let (Some(last), rest @ 1..) = (self.words.last_mut(), self.items % 64) {
            *last &= (1 << rest) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn sets_do_what_sets_of_numbers_do() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for items in [1usize, 63, 64, 65, 200] {
            let mut draw =
                || -> BTreeSet<u32> { (0..items as u32).filter(|_| rng.random_range(0..3) == 0).collect() };
            let (a, b) = (draw(), draw());
            let (first, second) =
                (ItemSet::of(items, a.iter().copied()), ItemSet::of(items, b.iter().copied()));
            let changed = |change: &dyn Fn(&mut ItemSet)| {
                let mut set = first.clone();
                change(&mut set);
                assert_eq!(set.len(), set.iter().count());
                set.iter().collect::<BTreeSet<u32>>()
            };
            assert_eq!(changed(&|_| ()), a);
            assert_eq!(changed(&|s| s.intersect(&second)), &a & &b);
            assert_eq!(changed(&|s| s.subtract(&second)), &a - &b);
            assert_eq!(changed(&|s| s.unite(&second)), &a | &b);
            let all: BTreeSet<u32> = (0..items as u32).collect();
            assert_eq!(changed(&ItemSet::complement), &all - &a);
            assert_eq!(ItemSet::all(items).iter().collect::<BTreeSet<_>>(), all);
            assert!((0..items as u32 + 70).all(|i| first.contains(i) == a.contains(&i)));
            assert_eq!(first.is_empty(), a.is_empty());
        }
        let mut set = ItemSet::all(3);
        set.grow(130);
        assert_eq!((set.len(), set.contains(3)), (3, false));
        set.set(129, true);
        set.set(0, false);
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 2, 129]);
        set.intersect(&ItemSet::all(100));
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 2]);
    }
}
