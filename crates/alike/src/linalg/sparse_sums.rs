//! A row of sums of which few are not zero.

use std::ops::AddAssign;

/// The sums of a row of many places, made and taken without going over all of them.
#[derive(Debug)]
pub(crate) struct SparseSums<T> {
    sums: Vec<T>,
    /// The places whose sum is not zero, in the order in which they came.
    places: Vec<u32>,
}

impl<T: Copy + Default + PartialEq + AddAssign> SparseSums<T> {
    /// Of `places` places, all zero.
    pub(crate) fn new(places: usize) -> Self {
        Self { sums: vec![T::default(); places], places: Vec::new() }
    }

    /// Adds to the sum at `place` what is above zero.
    pub(crate) fn add(&mut self, place: u32, more: T) {
        let sum = &mut self.sums[place as usize];
        if *sum == T::default() {
            self.places.push(place);
        }
        *sum += more;
    }

    /// The sums that are not zero, in the order in which their places came; all are zero after that.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (u32, T)> + '_ {
        self.places.drain(..).map(|place| (place, std::mem::take(&mut self.sums[place as usize])))
    }

    /// As [`Self::take`], by place.
    pub(crate) fn take_sorted(&mut self) -> impl Iterator<Item = (u32, T)> + '_ {
        self.places.sort_unstable();
        self.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_come_once_and_are_zero_after_that() {
        let mut sums = SparseSums::new(9);
        for (place, more) in [(7, 1.5f32), (2, 1.0), (7, 2.0)] {
            sums.add(place, more);
        }
        assert_eq!(sums.take().collect::<Vec<_>>(), [(7, 3.5), (2, 1.0)]);
        sums.add(8, 1.0);
        sums.add(0, 4.0);
        assert_eq!(sums.take_sorted().collect::<Vec<_>>(), [(0, 4.0), (8, 1.0)]);
        assert_eq!(sums.take().count(), 0);
    }
}
