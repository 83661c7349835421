//! Signals as a stream of wishes.

use std::io;

use tokio::signal::unix::{self, SignalKind};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// SIGTERM or SIGINT: finish and exit.
    Stop,
    /// SIGHUP: read the settings again.
    Reload,
}

/// The signals that the process answers to.
pub(crate) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// Takes the signals over from their default, which is to end the process.
    pub(crate) fn register() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// The next wish.
    pub(crate) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }

    /// The next wish to stop; wishes to reload are dropped meanwhile.
    pub(crate) async fn stop(&mut self) {
        while self.next().await != Wish::Stop {}
    }
}
