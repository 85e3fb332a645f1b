//! Buffers that outlive a call, so that training steps do not fault in fresh pages.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use crate::simd::f32x16::LANES;

/// Sixteen floats on a cache line of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line([f32; LANES]);

/// Maximum number of bytes kept for reuse; more is freed.
const KEPT: usize = 192 << 20;

static POOL: Mutex<Vec<Vec<Line>>> = Mutex::new(Vec::new());

/// Floats aligned to cache lines, returned to a pool when dropped.
#[derive(Debug)]
pub(crate) struct PooledBuffer {
    lines: Vec<Line>,
}

impl PooledBuffer {
    /// `len` floats of any value, rounded up to whole lines.
    pub(crate) fn new(len: usize) -> Self {
        let count = len.div_ceil(LANES);
        let found = {
            let mut pool = POOL.lock().unwrap_or_else(|e| e.into_inner());
            let fitting = pool.iter().enumerate().filter(|(_, v)| (count..=2 * count).contains(&v.len()));
            let best = fitting.min_by_key(|(_, v)| v.len()).map(|(at, _)| at);
            best.map(|at| pool.swap_remove(at))
        };
        Self { lines: found.unwrap_or_else(|| vec![Line([0.0; LANES]); count]) }
    }
}

impl Clone for PooledBuffer {
    fn clone(&self) -> Self {
        Self { lines: self.lines.clone() }
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        let mut pool = POOL.lock().unwrap_or_else(|e| e.into_inner());
        let held: usize = pool.iter().map(|v| size_of_val(&v[..])).sum();
        if !lines.is_empty() && held + size_of_val(&lines[..]) <= KEPT {
            pool.push(lines);
        }
    }
}

impl Deref for PooledBuffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen floats without padding (64 bytes, 64-byte aligned).
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * LANES) }
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: a `Line` is sixteen floats without padding (64 bytes, 64-byte aligned).
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * LANES) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_long_enough_and_separate() {
        let (mut a, mut b) = (PooledBuffer::new(1000), PooledBuffer::new(1000));
        assert!(a.len() >= 1000 && (a.as_ptr() as usize).is_multiple_of(64));
        a.fill(1.0);
        b.fill(2.0);
        assert!(a.iter().all(|&v| v == 1.0));
        drop(a);
        let c = PooledBuffer::new(990);
        assert!(c.len() >= 990 && b.iter().all(|&v| v == 2.0));
    }
}
