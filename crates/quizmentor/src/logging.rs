//! Logging: to journald with its fields where standard error leads there, else to the terminal.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, IsTerminal},
    os::{fd::AsFd, unix::fs::MetadataExt},
    panic,
};

use anyhow::Context;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, prelude::*, reload};

/// Changes what is logged while the program runs.
pub(crate) struct Filter(reload::Handle<EnvFilter, Registry>);

impl Filter {
    /// Logs what `filter` says from now on, or `$RUST_LOG` where it is set.
    pub(crate) fn set(&self, filter: &str) -> anyhow::Result<()> {
        Ok(self.0.reload(parse(filter)?)?)
    }
}

/// Where what is logged goes.
pub(crate) type Output = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging, and making `traces` of it; to be called once. Panics are logged too, with their
/// place.
pub(crate) fn init(filter: &str, traces: Option<Output>) -> anyhow::Result<Filter> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    // An absent layer would silence the others here.
    let output = match traces {
        Some(traces) => output().and_then(traces).boxed(),
        None => output(),
    };
    tracing_subscriber::registry().with(filter.and_then(output)).try_init()?;
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("(no message)");
        tracing::error!(place, "panic: {message}");
    }));
    Ok(Filter(handle))
}

fn parse(filter: &str) -> anyhow::Result<EnvFilter> {
    let variable = std::env::var("RUST_LOG").ok();
    let (text, source) = match &variable {
        Some(text) => (text.as_str(), "$RUST_LOG"),
        None => (filter, "the setting [log] filter"),
    };
    EnvFilter::builder().parse(text).with_context(|| format!("{source} is no log filter: {text}"))
}

fn output() -> Output {
    if to_journal()
        && let Ok(journal) = tracing_journald::layer()
    {
        return journal.with_field_prefix(Some("QUIZMENTOR".to_owned())).boxed();
    }
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    fmt::layer().with_writer(io::stderr).with_ansi(colours).boxed()
}

/// Whether what is written to standard error ends up in the journal.
pub(crate) fn to_journal() -> bool {
    let stream = std::env::var_os("JOURNAL_STREAM");
    stream.is_some_and(|stream| leads_to(&stream, &io::stderr()))
}

/// Whether `stream`, a `device:inode` pair as in `$JOURNAL_STREAM`, is what `descriptor` has
/// open. The variable alone proves nothing: it is inherited by children whose standard error has
/// been redirected.
fn leads_to(stream: &OsStr, descriptor: &impl AsFd) -> bool {
    let identity = || {
        let file = File::from(descriptor.as_fd().try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let claimed = || {
        let (device, inode) = stream.to_str()?.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    };
    claimed().is_some_and(|claimed| identity() == Some(claimed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_stream_must_be_the_open_file() {
        let (ours, other) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let metadata = ours.metadata().unwrap();
        let stream = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(leads_to(OsStr::new(&stream), &ours));
        assert!(!leads_to(OsStr::new(&stream), &other));
        for broken in ["", ":", "1", "a:b", "1:2:3"] {
            assert!(!leads_to(OsStr::new(broken), &ours), "{broken}");
        }
    }
}
