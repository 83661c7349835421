//! Proof of progress: for /readyz, and for the service manager's watchdog.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{self, MissedTickBehavior},
};

use super::notify;
use crate::serve::{Application, Health};

/// Time between two probes, and the most one may take, unless the watchdog wants them oftener.
const PERIOD: Duration = Duration::from_secs(5);

/// Questions to the accept loop whether it still turns; it answers each.
pub(crate) type Pings = mpsc::Sender<oneshot::Sender<()>>;

/// Probes the process for as long as it runs. A probe passes through the accept loop, the
/// runtime's queue and the application's workers; only one that came all the way feeds the
/// watchdog. An application that answers, but with a fault, is alive and not ready.
pub(crate) async fn watch<A: Application>(app: Arc<A>, accepting: Pings, health: Arc<Health>) {
    let limit = sd_notify::watchdog_enabled();
    let period = limit.map_or(PERIOD, |limit| PERIOD.min(limit / 3)).max(Duration::from_millis(1));
    let mut ticks = time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match time::timeout(period, probe(Arc::clone(&app), &accepting)).await {
            Ok(Some(outcome)) => {
                health.set_fault(outcome.err().map(|fault| format!("{fault:#}")));
                notify::alive();
            }
            Ok(None) => health.set_fault(Some("the probe failed".to_owned())),
            Err(_) => health.set_fault(Some(format!("no progress within {period:?}"))),
        }
    }
}

/// The application's own verdict, or `None` when a part that the probe passes has died.
async fn probe<A: Application>(app: Arc<A>, accepting: &Pings) -> Option<anyhow::Result<()>> {
    let (answer, answered) = oneshot::channel();
    accepting.send(answer).await.ok()?;
    answered.await.ok()?;
    tokio::spawn(async move { app.probe().await }).await.ok()
}
