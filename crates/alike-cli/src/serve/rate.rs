//! How often one client may ask: a bucket of tokens for each, which fills at a steady rate.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::places::network;

/// Maximum of clients that are told apart; further ones share a bucket.
const CLIENTS: usize = 10_000;
/// How many seconds' worth of requests may come at once.
const BURST: f64 = 2.0;

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// Those that bring a key, by its number.
    Key(usize),
    /// Those that bring none, by where they come from.
    Address(IpAddr),
    /// Those of whom there are too many to tell them apart.
    Others,
}

/// Requests a second, for each.
pub(crate) struct Rate {
    per_second: f64,
    clients: usize,
    buckets: Mutex<HashMap<Who, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Rate {
    /// So many a second, and twice as many at once.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second), clients: CLIENTS, buckets: Mutex::default() }
    }

    /// Takes a token of `who`.
    ///
    /// # Errors
    /// There is none; how long it takes until there is.
    pub(crate) fn take(&self, who: Who, now: Instant) -> Result<(), Duration> {
        let mut who = match who {
            Who::Address(address) => Who::Address(network(address)),
            other => other,
        };
        let most = self.per_second * BURST;
        let filled = |bucket: &Bucket| {
            (bucket.tokens + now.saturating_duration_since(bucket.filled_at).as_secs_f64() * self.per_second)
                .min(most)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= self.clients && !buckets.contains_key(&who) {
            // A full bucket says nothing that a new one would not.
            buckets.retain(|_, bucket| filled(bucket) < most);
            if buckets.len() >= self.clients {
                who = Who::Others;
            }
        }
        let bucket = buckets.entry(who).or_insert(Bucket { tokens: most, filled_at: now });
        *bucket = Bucket { tokens: filled(bucket), filled_at: now };
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: u8) -> Who {
        Who::Address(IpAddr::from([10, 0, 0, n]))
    }

    #[test]
    fn each_client_has_its_rate() {
        let (rate, start) = (Rate::new(5), Instant::now());
        let taken = |who, when| (0..100).take_while(|_| rate.take(who, start + when).is_ok()).count();
        assert_eq!(taken(client(1), Duration::ZERO), 10);
        assert_eq!(taken(client(2), Duration::ZERO), 10, "others are not the first one's concern");
        let wait = rate.take(client(1), start).unwrap_err();
        assert!(wait > Duration::from_millis(190) && wait <= Duration::from_millis(200), "{wait:?}");
        assert_eq!(taken(client(1), Duration::from_secs(1)), 5);
        assert_eq!(taken(Who::Key(0), Duration::from_secs(1)), 10);
        assert_eq!(taken(client(1), Duration::from_secs(1000)), 10, "no more than the bucket holds");
    }

    #[test]
    fn the_table_does_not_grow_without_end() {
        let (mut rate, start) = (Rate::new(5), Instant::now());
        rate.clients = 4;
        for n in 0..200 {
            let _ = rate.take(client(n), start);
        }
        assert!(rate.buckets.lock().unwrap().len() <= 5);
        assert!(rate.take(client(200), start).is_err(), "those who are too many share one");
        // Once the first ones are quiet, others are told apart again.
        assert!(rate.take(client(201), start + Duration::from_secs(9)).is_ok());
        assert_eq!(rate.buckets.lock().unwrap().len(), 1);
    }
}
