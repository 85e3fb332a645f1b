//! Every number that bounds what clients can take of the server. `docs/serving.md` has them in a table.

use std::time::Duration;

/// How much, how many and how long.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Of these, those of one address.
    pub(crate) connections_of_one: usize,
    /// Connections beyond these that may ask for health and counts only: so many from this machine, and as
    /// many from others. Each lasts until so many more have come, and no longer than `probe`.
    pub(crate) probes: usize,
    /// Requests that are answered at a time.
    pub(crate) requests: usize,
    /// Of these, those of one address: fewer than may wait for a processor, so that others still find a
    /// place.
    pub(crate) requests_of_one: usize,
    /// Requests whose body is still on its way.
    pub(crate) bodies: usize,
    /// Of these, those of one address.
    pub(crate) bodies_of_one: usize,
    /// Requests that wait for a processor: searches by title, items that are alike.
    pub(crate) waiting: usize,
    /// Requests that wait for one for long: long lists with reasons or with a mixture.
    pub(crate) waiting_long: usize,
    /// Scores and comparisons from which on a list is a long one: some tens of milliseconds.
    pub(crate) long: usize,
    /// Pictures that wait.
    pub(crate) waiting_pictures: usize,
    /// Bytes of a body.
    pub(crate) max_body: usize,
    /// Requests on one connection.
    pub(crate) requests_of_connection: u32,
    /// How long a connection may last; a request that has begun is finished.
    pub(crate) life: Duration,
    /// How long a client may take to send the head of a request, and how long a connection may idle.
    pub(crate) head: Duration,
    /// The same where a connection is only there for health and counts; it then ends.
    pub(crate) probe: Duration,
    /// How long nothing of a body may come, and nothing of an answer be taken.
    pub(crate) stall: Duration,
    /// How long a request may take, its body included.
    pub(crate) request_timeout: Duration,
    /// How long what a client still sends is read, after a refusal, so that it gets to read the refusal.
    pub(crate) linger: Duration,
    /// How long requests may go on after the server has stopped listening.
    pub(crate) grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_of_one: 512,
            probes: 16,
            requests: 512,
            requests_of_one: 192,
            bodies: 256,
            bodies_of_one: 128,
            waiting: 256,
            waiting_long: 32,
            long: 50_000,
            waiting_pictures: 8,
            max_body: 1 << 20,
            requests_of_connection: 10_000,
            life: Duration::from_secs(600),
            head: Duration::from_secs(10),
            probe: Duration::from_secs(1),
            stall: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(1),
            grace: Duration::from_secs(15),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_these_numbers() {
        let page = include_str!("../../../../docs/serving.md");
        let l = Limits::default();
        let seconds = |time: Duration| format!("{} s", time.as_secs());
        let probes = format!("{} each", l.probes);
        for (what, value) in [
            ("connections at a time", l.connections.to_string()),
            ("connections of one address", l.connections_of_one.to_string()),
            ("connections for health and counts beyond these, from this machine and from others", probes),
            ("requests at a time", l.requests.to_string()),
            ("requests at a time of one address", l.requests_of_one.to_string()),
            ("requests whose body is on its way", l.bodies.to_string()),
            ("the same of one address", l.bodies_of_one.to_string()),
            ("requests that wait for a processor", l.waiting.to_string()),
            ("long lists with reasons or a mixture that wait", l.waiting_long.to_string()),
            ("pictures that wait", l.waiting_pictures.to_string()),
            ("bytes of a body", l.max_body.to_string()),
            ("requests on one connection", l.requests_of_connection.to_string()),
            ("life of a connection", seconds(l.life)),
            ("time for the head of a request, and between requests", seconds(l.head)),
            ("time in which something of a body must come", seconds(l.stall)),
            ("time in which something of an answer must be taken", seconds(l.stall)),
            ("time for a request, its body included", seconds(l.request_timeout)),
        ] {
            let row = format!("| {what} | {value} |");
            assert!(page.contains(&row), "{row}");
        }
        assert!(l.requests_of_one < l.waiting && l.bodies_of_one < l.bodies);
        let kept = crate::serve::store::KEPT;
        assert!(page.contains(&format!("| events that are kept of one user | {kept} |")));
        assert!(page.contains(&format!("within {} what has begun", seconds(l.grace))));
    }
}
