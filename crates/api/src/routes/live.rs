//! What happens, as it happens: server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use quizmentor_core::SessionId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, Problem,
    auth::AsLearner,
    extract::Query,
    hot::{Kind, SessionNews},
    live::{Listening, Message},
};

/// How often a connection without news shows that it lives: before proxies and the server's own
/// limit on idle connections take it for dead.
const HEARTBEAT: Duration = Duration::from_secs(25);
/// How long a client should wait before it connects anew.
const RECONNECT: Duration = Duration::from_secs(3);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(live))
}

/// What to listen to.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LiveQuery {
    /// This session alone; all of the learner's if absent.
    session: Option<SessionId>,
}

/// The data of an event.
#[derive(Serialize, ToSchema)]
struct LiveEvent {
    /// The session.
    session: SessionId,
    /// Its version since then; grows with each change.
    version: u64,
}

/// Listen
///
/// A stream of server-sent events about the learner's sessions, whichever device changes them:
/// `answer.committed` and `session.changed`, with JSON data as described here; `missed`, without
/// data, first and whenever something may have been missed, asks to read again what is shown.
/// What happened without a connection is not told later.
#[utoipa::path(
    get, path = "/v1/live", tag = "learner", security(("token" = [])), params(LiveQuery),
    responses(
        (status = 200, content_type = "text/event-stream", body = LiveEvent),
        (status = 429, body = Problem),
    ),
)]
async fn live(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    Query(query): Query<LiveQuery>,
) -> Result<impl IntoResponse, Problem> {
    let listening = app
        .listen_to(principal.learner)
        .ok_or_else(|| Problem::too_many_requests(RECONNECT.as_secs()))?;
    let hello = missed().retry(RECONNECT);
    let events =
        stream::unfold((listening, Some(hello)), move |(mut listening, hello)| async move {
            let event = match hello {
                Some(hello) => hello,
                None => next(&mut listening, query.session).await?,
            };
            Some((Ok::<_, Infallible>(event), (listening, None)))
        });
    // Proxies would keep the events until there are enough to be worth passing on.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(([unbuffered], Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))))
}

/// The next event, of `session` alone if there is one.
async fn next(listening: &mut Listening, session: Option<SessionId>) -> Option<Event> {
    loop {
        match listening.next().await? {
            Message::Missed => return Some(missed()),
            Message::News(news) if session.is_none_or(|session| session == news.session) => {
                return Some(event(&news));
            }
            Message::News(_) => {}
        }
    }
}

fn missed() -> Event {
    Event::default().event("missed").data("")
}

fn event(news: &SessionNews) -> Event {
    let kind = match news.kind {
        Kind::AnswerCommitted => "answer.committed",
        Kind::SessionChanged => "session.changed",
    };
    let data = LiveEvent { session: news.session, version: news.version };
    let event = Event::default().event(kind);
    event.json_data(data).unwrap_or_else(|_| missed())
}
