//! At most so many events of one user, without counting them at every write.

/// Events of one user that are kept where nothing else is said: twenty times what counts in an answer.
pub(crate) const KEPT: u32 = 100_000;
/// Events that are removed at a time: a user may have millions when the bound is lowered.
pub(super) const STEP: i64 = 10_000;

/// Whether the events of a user who has a new one, numbered `seq`, are counted now: after one in a hundredth
/// of the bound, so that counting costs each event little, and one user has a few hundredths more at most.
/// Which ones depends on their number alone, in no order that somebody could write around: servers that share
/// a store need not agree on anything.
pub(super) fn counted(seq: i64, most: u32) -> bool {
    // The finaliser of SplitMix64.
    let mut bits = (seq as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)).is_multiple_of(u64::from(most / 100).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_bounds_are_exact_and_large_ones_nearly() {
        assert!((0..1000).all(|seq| counted(seq, 1) && counted(seq, 199)));
        // However a user's events fall among those of others.
        for stride in [1, 2, 7, 1000] {
            let gaps = (0..200_000).map(|n| n * stride).filter(|&seq| counted(seq, KEPT)).collect::<Vec<_>>();
            assert!((150..250).contains(&gaps.len()), "{} of 200,000", gaps.len());
            let longest = gaps.windows(2).map(|w| (w[1] - w[0]) / stride).max().unwrap();
            assert!(longest < i64::from(KEPT) / 10, "{longest} events are not counted");
        }
    }
}
