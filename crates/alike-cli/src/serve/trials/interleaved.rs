//! One list of two, so that people choose between them without knowing.

use std::collections::BTreeSet;

/// A list of two lists.
pub(crate) struct Drafted {
    pub(crate) list: Vec<(u32, f32)>,
    /// Whose each item is: 0 or 1. None for items that both have at the same place from the start of the
    /// list on, since choosing them says nothing.
    pub(crate) teams: Vec<Option<u8>>,
}

/// The first `top` of a team draft (Radlinski et al. 2008): in each round both lists choose the best of theirs
/// that is not chosen yet, one after the other, a coin says which first. `coin` gives the coin of a round.
/// Scores are places from the end, since those of two models cannot be compared.
pub(crate) fn drafted(lists: [&[(u32, f32)]; 2], top: usize, mut coin: impl FnMut(usize) -> bool) -> Drafted {
    let common = lists[0].iter().zip(lists[1]).take_while(|(a, b)| a.0 == b.0).take(top).count();
    let mut items: Vec<(u32, Option<u8>)> = lists[0][..common].iter().map(|l| (l.0, None)).collect();
    let mut chosen: BTreeSet<u32> = items.iter().map(|i| i.0).collect();
    let mut rest = lists.map(|list| list[common..].iter().map(|l| l.0));
    for round in 0.. {
        let before = items.len();
        let first = usize::from(coin(round));
        for team in [first, 1 - first] {
            if items.len() < top
                && let Some(item) = rest[team].find(|item| !chosen.contains(item))
            {
                chosen.insert(item);
                items.push((item, Some(team as u8)));
            }
        }
        if items.len() == before {
            break;
        }
    }
    let all = items.len();
    let place = |(at, &(item, _)): (usize, &(u32, Option<u8>))| (item, (all - at) as f32);
    Drafted {
        list: items.iter().enumerate().map(place).collect(),
        teams: items.iter().map(|i| i.1).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_choose_in_turn_and_nothing_comes_twice() {
        let list = |items: &[u32]| items.iter().map(|&i| (i, 1.0)).collect::<Vec<_>>();
        let (a, b) = (list(&[9, 1, 2, 3, 4]), list(&[9, 2, 5, 1, 6]));
        let made = drafted([&a, &b], 6, |round| round % 2 == 0);
        let items: Vec<u32> = made.list.iter().map(|l| l.0).collect();
        // 9 is common; b chooses 2 and a 1; a chooses 3 (2 is gone) and b 5; b chooses 6.
        assert_eq!(items, [9, 2, 1, 3, 5, 6]);
        assert_eq!(made.teams, [None, Some(1), Some(0), Some(0), Some(1), Some(1)]);
        assert!(made.list.windows(2).all(|w| w[0].1 > w[1].1));
        let same = drafted([&a, &a], 10, |_| true);
        assert!(same.teams.iter().all(Option::is_none) && same.list.len() == 5);
        let short = drafted([&a, &[]], 3, |_| true);
        assert_eq!(short.teams, [Some(0); 3]);
        assert!(drafted([&[], &[]], 3, |_| true).list.is_empty());
    }
}
