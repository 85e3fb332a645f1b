//! A connection, as those see it who answer its requests.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Where it comes from.
    pub(crate) address: IpAddr,
    /// Whether it is there for health and counts only, since no other place was left.
    pub(crate) probe: bool,
    /// Requests that it may still send.
    requests_left: AtomicU32,
    /// Whether it has more to send than was read.
    unread: AtomicBool,
}

impl Client {
    pub(crate) fn new(address: IpAddr, probe: bool, requests: u32) -> Self {
        Self { address, probe, requests_left: AtomicU32::new(requests), unread: AtomicBool::new(false) }
    }

    /// Counts a request; whether it is the last one that the connection may send.
    pub(crate) fn is_last(&self) -> bool {
        self.probe || self.requests_left.fetch_sub(1, Ordering::Relaxed) <= 1
    }

    /// A request was answered without having been read to its end: the connection ends with the answer.
    pub(crate) fn leaves_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Whether it has more to send than was read.
    pub(crate) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }
}
