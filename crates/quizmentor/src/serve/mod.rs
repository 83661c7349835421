//! Serving: from start through readiness to the last request.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use arc_swap::ArcSwap;
use axum::Router;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time,
};

use crate::{
    cli::ServeArguments,
    config::{self, Config, Secret},
    lifecycle::{
        notify,
        signals::{Signals, Wish},
        sockets, watchdog,
    },
    logging::Filter,
};

mod accept;
mod address;
mod admission;
mod connection;
mod health;
mod layers;

pub(crate) use health::Health;

/// What the application may take to put its stores away after the last request.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// What is served: routes, and the work behind them.
pub(crate) trait Application: Send + Sync + 'static {
    /// The routes of the roles that were asked for. Those of health and metrics are not among
    /// them.
    fn router(&self) -> Router;

    /// Lines for the person who started the program, such as a sign-in link; printed once on
    /// standard output, never logged.
    fn welcome(&self) -> Vec<String> {
        Vec::new()
    }

    /// Resolves once every worker that matters has made progress; an error says why requests
    /// should go elsewhere for now. One that does not resolve makes the watchdog bite.
    fn probe(&self) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Takes over what can change without a restart.
    fn reload(&self, _config: &Config) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Ends the responses that go on until someone ends them; the rest may finish.
    fn drain(&self) {}

    /// Finishes background work and puts the stores away, after the last request.
    fn close(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// What the application is built from.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) config: Arc<Config>,
    /// Exists.
    pub(crate) data_dir: PathBuf,
    pub(crate) models_dir: PathBuf,
    pub(crate) token_key: Secret,
    /// Where the process listens, such as `http://127.0.0.1:8080`.
    pub(crate) base_url: String,
}

/// Serves the application that `build` makes until a signal asks to stop.
///
/// # Errors
///
/// When it cannot start; once it serves, it ends well.
pub(crate) async fn run<A: Application>(
    arguments: &ServeArguments,
    config: Config,
    inherited: Vec<std::net::TcpListener>,
    filter: &Filter,
    build: impl AsyncFnOnce(Start) -> anyhow::Result<A>,
) -> anyhow::Result<()> {
    let mut signals = Signals::register().context("cannot take over the signals")?;
    let listeners = sockets::listen(inherited, config.server.listen)?;
    let base_url = base_url(&listeners)?;
    let config = Arc::new(config);
    notify::status("loading models and stores");
    let app = tokio::select! {
        app = async { build(start(&config, base_url.clone())?).await } => Arc::new(app?),
        () = signals.stop() => return Ok(()),
    };

    let config = Arc::new(ArcSwap::new(config));
    let running = Running::start(&app, listeners, Arc::clone(&config));
    let status = format!("serving at {base_url}");
    notify::ready(&status);
    tracing::info!(base_url, version = env!("CARGO_PKG_VERSION"), "serving");
    announce(&base_url, app.welcome());
    while signals.next().await == Wish::Reload {
        notify::reloading();
        let outcome = reload(arguments, &config, filter, app.as_ref()).await;
        if let Err(error) = &outcome {
            tracing::error!("the settings stay as they were: {error:#}");
        }
        notify::ready(if outcome.is_ok() { &status } else { "serving; the reload was refused" });
    }
    app.drain();
    running.stop(&mut signals, config.load().server.drain_timeout).await;
    close(app.as_ref(), &mut signals).await;
    Ok(())
}

fn start(config: &Arc<Config>, base_url: String) -> anyhow::Result<Start> {
    let data_dir = config.data_dir()?;
    config::make_data_dir(&data_dir)?;
    Ok(Start {
        token_key: config::token_key(config, &data_dir)?,
        models_dir: config.models_dir(),
        config: Arc::clone(config),
        data_dir,
        base_url,
    })
}

/// The address to open in a browser; an unspecified one is reached as localhost.
fn base_url(listeners: &[TcpListener]) -> anyhow::Result<String> {
    let first = listeners.first().context("nothing to listen on")?;
    let address = first.local_addr().context("the socket has no address")?;
    Ok(if address.ip().is_unspecified() {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    })
}

/// Tells the person at the terminal; that nobody may be there is no fault.
fn announce(base_url: &str, welcome: Vec<String>) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let first = format!("QuizMentor listens on {base_url}");
    for line in std::iter::once(first).chain(welcome) {
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}

/// The tasks of a serving process.
struct Running {
    health: Arc<Health>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    /// End when this is dropped.
    _helpers: JoinSet<()>,
}

impl Running {
    fn start<A: Application>(
        app: &Arc<A>,
        listeners: Vec<TcpListener>,
        config: Arc<ArcSwap<Config>>,
    ) -> Self {
        health::recorder();
        let health = Arc::new(Health::default());
        let router = admission::wrap(app.router(), Arc::clone(&config));
        let router = router.merge(health::routes(Arc::clone(&health)));
        let router = layers::wrap(router, Arc::clone(&config));
        let (stop, stopped) = watch::channel(false);
        let (pinging, pings) = mpsc::channel(1);
        let server = accept::Server { listeners, router, config, pings };
        let (watched, limit) = (Arc::clone(&health), sd_notify::watchdog_enabled());
        let watchdog = watchdog::watch(Arc::clone(app), pinging, watched, limit, notify::alive);
        let mut helpers = JoinSet::new();
        helpers.spawn(health::upkeep());
        helpers.spawn(watchdog);
        Self { health, stop, server: tokio::spawn(server.run(stopped)), _helpers: helpers }
    }

    /// Accepts nothing more and waits for the requests that run: until `timeout` or another
    /// signal to stop, which cut them off.
    async fn stop(mut self, signals: &mut Signals, timeout: Duration) {
        self.health.set_draining();
        self.stop.send_replace(true);
        notify::stopping("finishing the requests that run");
        tracing::info!(?timeout, "stopping");
        let cut = tokio::select! {
            _ = &mut self.server => None,
            () = time::sleep(timeout) => Some("the drain timeout is over"),
            () = signals.stop() => Some("another signal to stop came"),
        };
        if let Some(reason) = cut {
            tracing::warn!(reason, "cutting off the requests that still run");
            self.server.abort();
            let _ = self.server.await;
        }
    }
}

async fn close(app: &impl Application, signals: &mut Signals) {
    tokio::select! {
        closed = time::timeout(CLOSE_TIMEOUT, app.close()) => match closed {
            Ok(()) => tracing::info!("stopped"),
            Err(_) => tracing::warn!("background work did not end within {CLOSE_TIMEOUT:?}"),
        },
        () = signals.stop() => tracing::warn!("stopped at once by another signal"),
    }
}

/// Reads the settings again and takes over what can change while serving.
async fn reload(
    arguments: &ServeArguments,
    current: &ArcSwap<Config>,
    filter: &Filter,
    app: &impl Application,
) -> anyhow::Result<()> {
    let config = arguments.settings()?;
    app.reload(&config).await?;
    filter.set(&config.log.filter)?;
    let before = current.swap(Arc::new(config.clone()));
    let fixed = |config: &Config| {
        let Config {
            log: _,
            server,
            limits,
            auth,
            experiment,
            flags,
            events,
            records,
            cache,
            vectors,
            traces,
        } = config.clone();
        let server = config::Server {
            request_timeout: Duration::ZERO,
            drain_timeout: Duration::ZERO,
            trusted_proxies: Vec::new(),
            ..server
        };
        let limits = [limits.connections, limits.requests, limits.queue];
        (server, limits, auth, experiment, flags, events, records, cache, vectors, traces)
    };
    if fixed(&before) != fixed(&config) {
        tracing::warn!("some of the changed settings take effect after a restart only");
    }
    tracing::info!("settings reloaded");
    Ok(())
}

#[cfg(test)]
mod tests;
