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
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use metrics::Unit;
use quizmentor_api::Problem;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use tracing::Instrument;

use super::layers::OnDrop;
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

/// What of a body must be there before its request takes a place; one who sends slowly holds up
/// nobody else.
const BODY: usize = 16 * 1024;
/// Of so many places one may be held by a request whose body is longer and still under way.
const PLACES_AN_UPLOAD: usize = 8;

struct Admission {
    config: Arc<ArcSwap<Config>>,
    places: Semaphore,
    uploads: Semaphore,
    waiting: AtomicUsize,
}

impl Admission {
    fn new(config: Arc<ArcSwap<Config>>) -> Self {
        let requests = config.load().limits.requests as usize;
        Self {
            config,
            places: Semaphore::new(requests),
            uploads: Semaphore::new(requests.div_ceil(PLACES_AN_UPLOAD)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// One of `places`, at once or after a wait; `None` when there are too many before, or for too
    /// long.
    async fn place<'a>(&self, places: &'a Semaphore) -> Option<SemaphorePermit<'a>> {
        if let Ok(place) = places.try_acquire() {
            return Some(place);
        }
        let (queue, longest) = {
            let limits = &self.config.load().limits;
            (limits.queue as usize, limits.queue_timeout)
        };
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waits = OnDrop(|| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        });
        if before >= queue {
            return None;
        }
        let begun = tokio::time::Instant::now();
        let turn = timeout(longest, places.acquire()).instrument(tracing::info_span!("turn"));
        let place = turn.await.ok()?.ok()?;
        metrics::histogram!(WAIT_SECONDS).record(begun.elapsed());
        Some(place)
    }
}

async fn admit(State(admission): State<Arc<Admission>>, request: Request, next: Next) -> Response {
    /// Long enough for what waits now to be done.
    const RETRY_AFTER: Duration = Duration::from_secs(1);
    let refused = || {
        metrics::counter!(REFUSED).increment(1);
        Problem::too_many_requests(RETRY_AFTER.as_secs()).into_response()
    };
    let Ok((request, rest)) = arrived(request).await else {
        return Problem::bad_request("The body ended early.").into_response();
    };
    let _upload = match rest {
        Rest::Nothing => None,
        Rest::UnderWay => match admission.place(&admission.uploads).await {
            Some(upload) => Some(upload),
            None => return refused(),
        },
    };
    match admission.place(&admission.places).await {
        Some(_place) => next.run(request).await,
        None => refused(),
    }
}

/// What of a body is still to come.
#[derive(Debug, PartialEq)]
enum Rest {
    Nothing,
    UnderWay,
}

/// The request once its body, or the first [`BODY`] bytes of it, are there.
async fn arrived(request: Request) -> Result<(Request, Rest), axum::Error> {
    if request.body().is_end_stream() {
        return Ok((request, Rest::Nothing));
    }
    let (head, mut body) = request.into_parts();
    let mut begun = Vec::new();
    while begun.len() < BODY {
        match body.frame().await.transpose()? {
            Some(frame) => begun.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            None => return Ok((Request::from_parts(head, begun.into()), Rest::Nothing)),
        }
    }
    let begun = stream::iter([Ok(Bytes::from(begun))]);
    let body = Body::from_stream(begun.chain(body.into_data_stream()));
    Ok((Request::from_parts(head, body), Rest::UnderWay))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn arrive(length: usize) -> (usize, Rest) {
        let pieces = vec![b'x'; length];
        let pieces: Vec<_> =
            pieces.chunks(1_000).map(|piece| Ok::<_, axum::Error>(piece.to_vec())).collect();
        let request = Request::new(Body::from_stream(stream::iter(pieces)));
        let (request, rest) = arrived(request).await.unwrap();
        (request.into_body().collect().await.unwrap().to_bytes().len(), rest)
    }

    #[tokio::test]
    async fn bodies_arrive_whole_and_only_long_ones_are_still_under_way() {
        assert_eq!(arrive(0).await, (0, Rest::Nothing));
        assert_eq!(arrive(BODY - 1).await, (BODY - 1, Rest::Nothing));
        assert_eq!(arrive(5 * BODY).await, (5 * BODY, Rest::UnderWay));
    }
}
