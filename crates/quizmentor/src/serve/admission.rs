//! Who is handled now, who waits, and who is told to come back: a server that takes all at once is
//! slow for all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use metrics::Unit;
use quizmentor_api::Problem;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::config::Config;

/// Name of the counter of requests that were told to come back.
const REFUSED: &str = "http_requests_refused_total";
/// Name of the histogram of the time until a request's turn, of those that had to wait.
const WAIT_SECONDS: &str = "http_request_wait_seconds";

/// Says what the metrics of this module mean.
pub(super) fn describe() {
    metrics::describe_counter!(REFUSED, "Requests refused for want of a place");
    metrics::describe_histogram!(WAIT_SECONDS, Unit::Seconds, "Wait of those that had to wait");
}

/// `router`, whose requests take turns.
pub(super) fn wrap(router: Router, config: Arc<ArcSwap<Config>>) -> Router {
    let admission = Arc::new(Admission::new(config));
    router.layer(middleware::from_fn_with_state(admission, admit))
}

struct Admission {
    config: Arc<ArcSwap<Config>>,
    places: Semaphore,
    waiting: AtomicUsize,
}

impl Admission {
    fn new(config: Arc<ArcSwap<Config>>) -> Self {
        let places = Semaphore::new(config.load().limits.requests as usize);
        Self { config, places, waiting: AtomicUsize::new(0) }
    }

    /// A place, at once or after a wait; `None` when there are too many before, or for too long.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        let (queue, longest) = {
            let limits = &self.config.load().limits;
            (limits.queue as usize, limits.queue_timeout)
        };
        let waits = Waits::begin(&self.waiting);
        if waits.before >= queue {
            return None;
        }
        let begun = tokio::time::Instant::now();
        let place = timeout(longest, self.places.acquire()).await.ok()?.ok()?;
        metrics::histogram!(WAIT_SECONDS).record(begun.elapsed());
        Some(place)
    }
}

/// One that waits, until dropped.
struct Waits<'a> {
    waiting: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        Self { waiting, before: waiting.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn admit(State(admission): State<Arc<Admission>>, request: Request, next: Next) -> Response {
    /// Long enough for what waits now to be done.
    const RETRY_AFTER: Duration = Duration::from_secs(1);
    let Some(_place) = admission.place().await else {
        metrics::counter!(REFUSED).increment(1);
        return Problem::too_many_requests(RETRY_AFTER.as_secs()).into_response();
    };
    next.run(request).await
}
