//! What practice reads again and again, kept out of the records' way: sessions in this process,
//! learner states in the cache. And the news of each change, for everyone who keeps or shows it.
//!
//! Whatever is old here does no harm: a write that builds on it meets the version check of the
//! records, and is tried anew on what they hold.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use lru::LruCache;
use quizmentor_core::{LearnerId, Session, SessionId};
use quizmentor_store::{
    Result,
    cache::Cache,
    records::{AnswerCommit, CommitOutcome, Records, VersionedState},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::Instant};
use uuid::Uuid;

/// Sessions kept at most.
const SESSIONS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// How long a session is kept: what is missed of other processes' news is believed no longer.
const SESSION_LIFE: Duration = Duration::from_mins(1);
/// How long the cache keeps a learner's state.
const STATE_LIFE: Duration = Duration::from_mins(30);
/// News that wait to be told; more are dropped, and so are the states that go with them.
const QUEUE: usize = 4_096;
/// The cache's topic of all news.
const TOPIC: &str = "news";

/// Something that happened to a learner's session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct News {
    /// What happened.
    pub kind: Kind,
    /// Whose session it is.
    pub learner: LearnerId,
    /// The session.
    pub session: SessionId,
    /// The session's version since then.
    pub version: u64,
    /// The process that did it.
    origin: Uuid,
}

/// What can happen to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// An answer was stored.
    #[serde(rename = "answer.committed")]
    AnswerCommitted,
    /// It began, ended, or has another question on its table.
    #[serde(rename = "session.changed")]
    SessionChanged,
}

/// News, and the learner's state that goes with them.
struct Change {
    news: News,
    state: Option<VersionedState>,
}

/// A session that is kept.
struct Kept {
    session: Session,
    since: Instant,
    /// What `next` replied, and at which revision of the bank.
    reply: Option<(u64, Bytes)>,
}

impl Kept {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < SESSION_LIFE
    }
}

/// Sessions and learner states, read and written through what is kept of them.
pub(crate) struct Hot {
    records: Arc<dyn Records>,
    cache: Arc<dyn Cache>,
    sessions: Mutex<LruCache<SessionId, Kept>>,
    /// Whether other processes' news come in; without them nothing is kept.
    hears: AtomicBool,
    origin: Uuid,
    changes: mpsc::Sender<Change>,
}

impl Hot {
    /// Must be called on a runtime, where it tells its news until it is dropped.
    pub(crate) fn new(records: Arc<dyn Records>, cache: Arc<dyn Cache>) -> Self {
        let (changes, queue) = mpsc::channel(QUEUE);
        tokio::spawn(tell(Arc::clone(&cache), queue));
        Self {
            records,
            cache,
            sessions: Mutex::new(LruCache::new(SESSIONS)),
            hears: AtomicBool::new(false),
            origin: Uuid::new_v4(),
            changes,
        }
    }

    /// As [`Records::session`].
    pub(crate) async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        if let Some(kept) = self.kept(id) {
            return Ok(Some(kept));
        }
        let session = self.records.session(id).await?;
        if let Some(session) = &session {
            self.keep(session);
        }
        Ok(session)
    }

    /// As [`Records::create_session`].
    pub(crate) async fn create_session(&self, session: &Session) -> Result<()> {
        self.records.create_session(session).await?;
        self.keep(session);
        self.tell(Kind::SessionChanged, session, None);
        Ok(())
    }

    /// As [`Records::update_session`].
    pub(crate) async fn update_session(&self, session: &Session) -> Result<()> {
        self.forget_session(session.id);
        self.records.update_session(session).await?;
        self.keep(session);
        self.tell(Kind::SessionChanged, session, None);
        Ok(())
    }

    /// As [`Records::learner_state`], but perhaps older.
    pub(crate) async fn learner_state(&self, learner: LearnerId) -> Result<Option<VersionedState>> {
        let kept = self.cache.get(&state_key(learner)).await.unwrap_or_default();
        match kept.as_deref().and_then(decode) {
            Some(state) => Ok(Some(state)),
            None => self.records.learner_state(learner).await,
        }
    }

    /// As [`Records::commit_answer`].
    pub(crate) async fn commit_answer(&self, commit: &AnswerCommit) -> Result<CommitOutcome> {
        let AnswerCommit { session, state, .. } = commit;
        self.forget_session(session.id);
        let outcome = self.records.commit_answer(commit).await;
        if matches!(outcome, Ok(CommitOutcome::Committed { .. })) {
            self.keep(session);
            self.tell(Kind::AnswerCommitted, session, Some(state.clone()));
        } else {
            // What is kept may be the reason; a cache that is away keeps nothing.
            let _ = self.cache.remove(&state_key(session.learner)).await;
        }
        outcome
    }

    /// Forgets all that is kept of a learner.
    pub(crate) async fn forget(&self, learner: LearnerId) {
        self.forget_sessions(learner);
        // A cache that is away keeps nothing, or for half an hour.
        let _ = forget_state(self.cache.as_ref(), learner).await;
    }

    /// Reads a session anew the next time.
    pub(crate) fn forget_session(&self, id: SessionId) {
        self.sessions().pop(&id);
    }

    fn forget_sessions(&self, learner: LearnerId) {
        let mut sessions = self.sessions();
        let theirs: Vec<_> = sessions
            .iter()
            .filter(|(_, kept)| kept.session.learner == learner)
            .map(|(id, _)| *id)
            .collect();
        for id in theirs {
            sessions.pop(&id);
        }
    }

    /// What is told from now on, in every process. Sessions are kept while someone listens.
    pub(crate) async fn listen(&self) -> Result<mpsc::Receiver<Bytes>> {
        let news = self.cache.subscribe(TOPIC).await?;
        self.sessions().clear();
        self.hears.store(true, Ordering::Release);
        Ok(news)
    }

    /// Takes news from [`listen`](Self::listen) to heart. `None` is what cannot be understood.
    pub(crate) fn hear(&self, message: &[u8]) -> Option<News> {
        let news: News = serde_json::from_slice(message).ok()?;
        if news.origin != self.origin {
            let mut sessions = self.sessions();
            if sessions.peek(&news.session).is_some_and(|kept| kept.session.version < news.version)
            {
                sessions.pop(&news.session);
            }
        }
        Some(news)
    }

    /// No news come in any more.
    pub(crate) fn grow_deaf(&self) {
        self.hears.store(false, Ordering::Release);
        self.sessions().clear();
    }

    fn kept(&self, id: SessionId) -> Option<Session> {
        let mut sessions = self.sessions();
        let kept = sessions.get(&id)?;
        if kept.is_fresh() {
            return Some(kept.session.clone());
        }
        sessions.pop(&id);
        None
    }

    /// What [`keep_reply`](Self::keep_reply) kept, if it is still what `learner` should get.
    pub(crate) fn reply(&self, learner: LearnerId, id: SessionId, revision: u64) -> Option<Bytes> {
        let mut sessions = self.sessions();
        let kept = sessions.get(&id)?;
        let (at, reply) = kept.reply.as_ref()?;
        let current = kept.session.learner == learner && kept.is_fresh() && *at == revision;
        current.then(|| reply.clone())
    }

    /// Keeps the reply to a request for the next question of `session`, rendered at a `revision`
    /// of the bank, as long as that very session is kept.
    pub(crate) fn keep_reply(&self, session: &Session, revision: u64, reply: Bytes) {
        let mut sessions = self.sessions();
        let kept = sessions.get_mut(&session.id);
        if let Some(kept) = kept.filter(|kept| kept.session.version == session.version) {
            kept.reply = Some((revision, reply));
        }
    }

    fn keep(&self, session: &Session) {
        if !self.hears.load(Ordering::Acquire) {
            return;
        }
        let mut sessions = self.sessions();
        let newer = |kept: &Kept| kept.session.version > session.version;
        if !sessions.peek(&session.id).is_some_and(newer) {
            let kept = Kept { session: session.clone(), since: Instant::now(), reply: None };
            sessions.put(session.id, kept);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, LruCache<SessionId, Kept>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, kind: Kind, session: &Session, state: Option<VersionedState>) {
        let news = News {
            kind,
            learner: session.learner,
            session: session.id,
            version: session.version,
            origin: self.origin,
        };
        if self.changes.try_send(Change { news, state }).is_err() {
            metrics::counter!("quizmentor_news_dropped_total").increment(1);
        }
    }
}

/// Puts changes into the cache, in their order. What a cache that is away misses is missed.
async fn tell(cache: Arc<dyn Cache>, mut changes: mpsc::Receiver<Change>) {
    while let Some(Change { news, state }) = changes.recv().await {
        if let Some(state) = state {
            let _ = cache.put(&state_key(news.learner), encode(&state), STATE_LIFE).await;
        }
        if let Ok(message) = serde_json::to_vec(&news) {
            let _ = cache.publish(TOPIC, message.into()).await;
        }
    }
}

/// Drops the state that a cache keeps of a learner.
///
/// # Errors
/// `Unavailable` when the cache does not answer.
pub async fn forget_state(cache: &dyn Cache, learner: LearnerId) -> Result<()> {
    cache.remove(&state_key(learner)).await
}

fn state_key(learner: LearnerId) -> String {
    format!("state:{learner}")
}

/// The version in eight bytes, then the state's own.
fn encode(state: &VersionedState) -> Bytes {
    [&state.version.to_le_bytes()[..], &state.bytes].concat().into()
}

fn decode(kept: &[u8]) -> Option<VersionedState> {
    let (version, bytes) = kept.split_first_chunk()?;
    Some(VersionedState { version: u64::from_le_bytes(*version), bytes: bytes.to_vec() })
}
