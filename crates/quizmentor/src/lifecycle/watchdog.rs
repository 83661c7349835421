//! Proof of progress: for /readyz, and for the service manager's watchdog.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{self, MissedTickBehavior},
};

use crate::serve::{Application, Health};

/// Time between two probes, and the most one may take, unless the watchdog wants them oftener.
const PERIOD: Duration = Duration::from_secs(5);

/// Questions to the accept loop whether it still turns; it answers each.
pub(crate) type Pings = mpsc::Sender<oneshot::Sender<()>>;

/// Probes the process for as long as it runs. A probe passes through the accept loop, the
/// runtime's queue and the application's workers; only one that came all the way calls `feed`,
/// well within each `limit`. An application that answers, but with a fault, is alive and not
/// ready.
pub(crate) async fn watch<A: Application>(
    app: Arc<A>,
    accepting: Pings,
    health: Arc<Health>,
    limit: Option<Duration>,
    mut feed: impl FnMut(),
) {
    let period = limit.map_or(PERIOD, |limit| PERIOD.min(limit / 3)).max(Duration::from_millis(1));
    let mut ticks = time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match time::timeout(period, probe(Arc::clone(&app), &accepting)).await {
            Ok(Some(outcome)) => {
                health.set_fault(outcome.err().map(|fault| format!("{fault:#}")));
                feed();
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::bail;
    use axum::Router;

    use super::*;

    enum Probe {
        Well,
        Faulty,
        Hanging,
        Panicking,
    }

    impl Application for Probe {
        fn router(&self) -> Router {
            Router::new()
        }

        async fn probe(&self) -> anyhow::Result<()> {
            match self {
                Self::Well => Ok(()),
                Self::Faulty => bail!("the records are away"),
                Self::Hanging => std::future::pending().await,
                Self::Panicking => panic!("a worker died"),
            }
        }
    }

    /// Meals of the watchdog within ten of its limits, and the fault that /readyz tells.
    async fn observe(probe: Probe, accepting: bool) -> (usize, Option<String>) {
        let (pinging, mut pings) = mpsc::channel::<oneshot::Sender<()>>(1);
        let accept_loop = async {
            while let Some(ping) = pings.recv().await {
                if !accepting {
                    std::future::pending::<()>().await;
                }
                let _ = ping.send(());
            }
        };
        let (health, meals) = (Arc::new(Health::default()), AtomicUsize::new(0));
        let limit = Duration::from_secs(3);
        let watch = watch(Arc::new(probe), pinging, Arc::clone(&health), Some(limit), || {
            meals.fetch_add(1, Ordering::Relaxed);
        });
        tokio::select! {
            () = watch => {}
            () = accept_loop => {}
            () = time::sleep(10 * limit) => {}
        }
        (meals.into_inner(), health.hindrance())
    }

    #[tokio::test(start_paused = true)]
    async fn progress_feeds_the_watchdog() {
        let (meals, fault) = observe(Probe::Well, true).await;
        assert!((29..=31).contains(&meals), "{meals}");
        assert_eq!(fault, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_told_but_is_no_standstill() {
        let (meals, fault) = observe(Probe::Faulty, true).await;
        assert!((29..=31).contains(&meals), "{meals}");
        assert_eq!(fault.as_deref(), Some("the records are away"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_standstill_starves_the_watchdog() {
        let standstill = Some("no progress within 1s");
        for (probe, accepting, expected) in [
            (Probe::Hanging, true, standstill),
            (Probe::Well, false, standstill),
            (Probe::Panicking, true, Some("the probe failed")),
        ] {
            let (meals, fault) = observe(probe, accepting).await;
            assert_eq!((meals, fault.as_deref()), (0, expected));
        }
    }
}
