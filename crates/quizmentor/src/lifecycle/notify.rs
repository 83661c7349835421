//! Messages to the service manager, as `sd_notify(3)` has them; without one they go nowhere.
//!
//! All are sent from the main process, so `NotifyAccess=main` suffices.

use sd_notify::NotifyState;

/// Serving has begun, or goes on after a reload.
pub(crate) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What the process is doing, in words.
pub(crate) fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// A reload has begun; `ready` ends it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now, NotifyState::Status("reloading")]),
        Err(error) => tracing::warn!(%error, "cannot read the monotonic clock"),
    }
}

/// The process is on its way out.
pub(crate) fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// The process makes progress.
pub(crate) fn alive() {
    send(&[NotifyState::Watchdog]);
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot reach the service manager");
    }
}
