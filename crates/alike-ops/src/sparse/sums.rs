//! A row of sums of which few are not zero.

use std::ops::AddAssign;

/// The sums of a row of many places, made and taken without going over all of them.
#[derive(Debug)]
pub struct SparseSums<T> {
    sums: Vec<T>,
    /// The places whose sum is not zero, in the order in which they came.
    places: Vec<u32>,
}

impl<T: Copy + Default + PartialEq + AddAssign> SparseSums<T> {
    /// Of `places` places, all zero.
    pub fn new(places: usize) -> Self {
        Self { sums: vec![T::default(); places], places: Vec::new() }
    }

    /// Adds to the sum at `place` what is above zero.
    pub fn add(&mut self, place: u32, more: T) {
        let sum = &mut self.sums[place as usize];
        if *sum == T::default() {
            self.places.push(place);
        }
        *sum += more;
    }

    /// The sum at `place`, which is zero after that; [`Self::take`] gives it again, as zero, if it was not.
    pub fn take_one(&mut self, place: u32) -> T {
        std::mem::take(&mut self.sums[place as usize])
    }

    /// The sums that are not zero, in the order in which their places came; all are zero after that.
    pub fn take(&mut self) -> impl Iterator<Item = (u32, T)> + '_ {
        self.places.drain(..).map(|place| (place, std::mem::take(&mut self.sums[place as usize])))
    }

    /// As [`Self::take`], by place.
    pub fn take_sorted(&mut self) -> impl Iterator<Item = (u32, T)> + '_ {
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
        sums.add(5, 3.0);
        assert_eq!((sums.take_one(5), sums.take_one(6)), (3.0, 0.0));
        assert_eq!(sums.take().collect::<Vec<_>>(), [(5, 0.0)]);
        sums.add(8, 1.0);
        sums.add(0, 4.0);
        assert_eq!(sums.take_sorted().collect::<Vec<_>>(), [(0, 4.0), (8, 1.0)]);
        assert_eq!(sums.take().count(), 0);
    }
}
