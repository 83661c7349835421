//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are no connections: files, stores, what the runtime needs.
const OTHERS: u64 = 256;

/// Raises the limit on open descriptors as far as the system lets the process. The usual limit is
/// as low as it is for programs that use `select`, which this one does not.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
}

/// Warns when so many connections do not fit.
pub(crate) fn check_room(connections: u32) {
    let Some(room) = getrlimit(Resource::Nofile).current else { return };
    if room < u64::from(connections) + OTHERS {
        tracing::warn!(
            connections,
            open_files = room,
            "the limit on open files is too low for so many connections; raise it, with systemd \
             by LimitNOFILE="
        );
    }
}
