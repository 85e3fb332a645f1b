//! Every connection is an open file, and the system allows a process only so many.

use crate::serve::limits::Limits;

/// Files beside those of connections: the store and its readers, pictures, the index, checkpoints that are
/// loaded.
const OTHERS: u64 = 128;

/// Raises the number of files that this process may open to what `limits` need, or lowers the number of
/// connections to what is allowed.
#[cfg(unix)]
pub(super) fn make_room(limits: &mut Limits) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let now = getrlimit(Resource::Nofile);
    // None stands for no limit.
    let (soft, hard) = (now.current.unwrap_or(u64::MAX), now.maximum.unwrap_or(u64::MAX));
    let mut allowed = soft;
    let wanted = needed(limits).min(hard);
    if wanted > soft && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..now }).is_ok() {
        allowed = wanted;
    }
    if lower(limits, allowed) {
        tracing::warn!(
            connections = limits.connections,
            "the system allows {allowed} open files: fewer connections are taken (`ulimit -n` and LimitNOFILE= allow more)"
        );
    }
}

/// Other systems have no such limit, or a far larger one.
#[cfg(not(unix))]
pub(super) fn make_room(_: &mut Limits) {}

/// Files that all connections and the rest need.
fn needed(limits: &Limits) -> u64 {
    limits.connections as u64 + 2 * limits.probes as u64 + OTHERS
}

/// Fits `limits` to so many files; whether anything had to be lowered.
fn lower(limits: &mut Limits, files: u64) -> bool {
    let needed = needed(limits);
    if files >= needed {
        return false;
    }
    // However few there are, some connections must be possible.
    let fewer = (limits.connections as u64).saturating_sub(needed - files).max(8) as usize;
    limits.connections_of_one = (limits.connections_of_one * fewer / limits.connections).max(4);
    limits.connections = fewer;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_into_the_files_that_are_allowed() {
        let limits = |files| {
            let mut limits =
                Limits { connections: 1000, connections_of_one: 500, probes: 16, ..Limits::default() };
            let lowered = lower(&mut limits, files);
            (lowered, limits.connections, limits.connections_of_one)
        };
        assert_eq!(limits(u64::MAX), (false, 1000, 500));
        assert_eq!(limits(1000 + 32 + OTHERS), (false, 1000, 500));
        assert_eq!(limits(1024), (true, 864, 432));
        assert_eq!(limits(64), (true, 8, 4));
    }
}
