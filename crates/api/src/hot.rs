//! What practice reads again and again, kept out of the records' way: sessions in this process,
//! learner states in the cache. And the news of each change, for everyone who keeps or shows it.
//!
//! Whatever is old here does no harm: a write that builds on it meets the version check of the
//! records, and is tried anew on what they hold.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use lru::LruCache;
use quizmentor_core::{LearnerId, Session, SessionId};
use quizmentor_store::{
    Result,
    cache::{self, Cache},
    records::{AnswerCommit, CommitOutcome, Records, VersionedState},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use uuid::Uuid;

/// Sessions kept at most.
const SESSIONS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// How long a session is kept: what is missed of other processes' news is believed no longer.
const SESSION_LIFE: Duration = Duration::from_mins(1);
/// How long the cache keeps a learner's state.
const STATE_LIFE: Duration = Duration::from_mins(30);
/// News that wait to be told; more are missed, and so are the states that go with them.
const QUEUE: usize = 4_096;
/// How soon it is told that news were missed, when there are no others to tell.
const AMENDS: Duration = Duration::from_millis(250);
/// The cache's topic of all news.
const TOPIC: &str = "news";
/// The cache's names of learners are made below this one.
const NAMESPACE: Uuid = Uuid::from_u128(0x91c6_5a0e_3f0b_4d1c_8a55_2be0_46d7_f1e9);

/// What a process tells all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum News {
    /// Something happened to a session.
    Session(SessionNews),
    /// A learner was erased.
    Erased {
        /// Who.
        erased: LearnerId,
    },
    /// Some news could not be told.
    Missed {
        /// The process that had them.
        missed: Uuid,
    },
}

/// Something that happened to a learner's session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionNews {
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
    news: SessionNews,
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
    /// How many erasures of learners came in. What was read before one is not kept after it.
    erasures: AtomicU64,
    /// Whether other processes' news come in; without them nothing is kept.
    hears: AtomicBool,
    origin: Uuid,
    changes: mpsc::Sender<Change>,
    /// Whether some news were missed, and nobody was told of that yet.
    missed: Arc<AtomicBool>,
}

impl Hot {
    /// Must be called on a runtime, where it tells its news until it is dropped.
    pub(crate) fn new(records: Arc<dyn Records>, cache: Arc<dyn Cache>) -> Self {
        let (changes, queue) = mpsc::channel(QUEUE);
        let (origin, missed) = (Uuid::new_v4(), Arc::default());
        let teller = Teller { cache: Arc::clone(&cache), origin, missed: Arc::clone(&missed) };
        tokio::spawn(teller.tell(queue));
        Self {
            records,
            cache,
            sessions: Mutex::new(LruCache::new(SESSIONS)),
            erasures: AtomicU64::new(0),
            hears: AtomicBool::new(false),
            origin,
            changes,
            missed,
        }
    }

    /// As [`Records::session`].
    pub(crate) async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        if let Some(kept) = self.kept(id) {
            return Ok(Some(kept));
        }
        let before = self.erasures();
        let session = self.records.session(id).await?;
        if let Some(session) = &session {
            self.keep(session, before);
        }
        Ok(session)
    }

    /// As [`Records::create_session`].
    pub(crate) async fn create_session(&self, session: &Session) -> Result<()> {
        let before = self.erasures();
        self.records.create_session(session).await?;
        self.keep(session, before);
        self.tell(Kind::SessionChanged, session, None);
        Ok(())
    }

    /// As [`Records::update_session`].
    pub(crate) async fn update_session(&self, session: &Session) -> Result<()> {
        self.forget_session(session.id);
        let before = self.erasures();
        self.records.update_session(session).await?;
        self.keep(session, before);
        self.tell(Kind::SessionChanged, session, None);
        Ok(())
    }

    /// As [`Records::learner_state`], but perhaps older.
    pub(crate) async fn learner_state(&self, learner: LearnerId) -> Result<Option<VersionedState>> {
        let kept = self.cache.get(&state_key(learner)).await.unwrap_or_default();
        match kept.filter(|(version, _)| *version != cache::LAST) {
            Some((version, bytes)) => Ok(Some(VersionedState { version, bytes: bytes.to_vec() })),
            None => self.records.learner_state(learner).await,
        }
    }

    /// As [`Records::commit_answer`].
    pub(crate) async fn commit_answer(&self, commit: &AnswerCommit) -> Result<CommitOutcome> {
        let AnswerCommit { session, state, .. } = commit;
        self.forget_session(session.id);
        let before = self.erasures();
        let outcome = self.records.commit_answer(commit).await;
        if matches!(outcome, Ok(CommitOutcome::Committed { .. })) {
            self.keep(session, before);
            self.tell(Kind::AnswerCommitted, session, Some(state.clone()));
        } else {
            // What is kept may be the reason.
            let _ = self.cache.remove(&state_key(session.learner), state.version - 1).await;
        }
        outcome
    }

    /// Forgets all that any process and the cache keep of a learner whom the records have erased.
    ///
    /// # Errors
    /// `Unavailable` when the cache does not answer; this process has forgotten them even so.
    pub(crate) async fn forget(&self, learner: LearnerId) -> Result<()> {
        self.forget_sessions(learner);
        forget(self.cache.as_ref(), learner).await
    }

    /// Reads a session anew the next time.
    pub(crate) fn forget_session(&self, id: SessionId) {
        self.sessions().pop(&id);
    }

    /// Drops a learner's sessions, those included that are being read.
    pub(crate) fn forget_sessions(&self, learner: LearnerId) {
        let mut sessions = self.sessions();
        self.erasures.fetch_add(1, Ordering::Relaxed);
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
        match &news {
            News::Session(news) if news.origin == self.origin => {}
            News::Session(SessionNews { session, version, .. }) => {
                let mut sessions = self.sessions();
                if sessions.peek(session).is_some_and(|kept| kept.session.version < *version) {
                    sessions.pop(session);
                }
            }
            News::Erased { erased } => self.forget_sessions(*erased),
            News::Missed { missed } if *missed == self.origin => {}
            News::Missed { .. } => self.sessions().clear(),
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

    /// The name of this process.
    pub(crate) fn origin(&self) -> Uuid {
        self.origin
    }

    fn erasures(&self) -> u64 {
        self.erasures.load(Ordering::Relaxed)
    }

    /// Keeps what was read or written since there were `before` erasures.
    fn keep(&self, session: &Session, before: u64) {
        if !self.hears.load(Ordering::Acquire) {
            return;
        }
        let mut sessions = self.sessions();
        if self.erasures() != before {
            return;
        }
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
        let news = SessionNews {
            kind,
            learner: session.learner,
            session: session.id,
            version: session.version,
            origin: self.origin,
        };
        if self.changes.try_send(Change { news, state }).is_err() {
            miss(&self.missed);
        }
    }
}

fn miss(missed: &AtomicBool) {
    metrics::counter!("quizmentor_news_dropped_total").increment(1);
    missed.store(true, Ordering::Release);
}

/// Puts changes into the cache, in their order.
struct Teller {
    cache: Arc<dyn Cache>,
    origin: Uuid,
    missed: Arc<AtomicBool>,
}

impl Teller {
    /// Tells `changes` until there can be no more. A state that the cache does not take is read
    /// from the records; news that it does not take are made up for by telling that some were
    /// missed.
    async fn tell(self, mut changes: mpsc::Receiver<Change>) {
        loop {
            let next = if self.missed.load(Ordering::Acquire) {
                timeout(AMENDS, changes.recv()).await.ok()
            } else {
                Some(changes.recv().await)
            };
            match next {
                Some(None) => return,
                Some(Some(change)) => self.tell_one(change).await,
                None => {}
            }
            if self.missed.swap(false, Ordering::AcqRel) {
                let amends = News::Missed { missed: self.origin };
                if publish(self.cache.as_ref(), &amends).await.is_err() {
                    self.missed.store(true, Ordering::Release);
                }
            }
        }
    }

    async fn tell_one(&self, Change { news, state }: Change) {
        if let Some(VersionedState { version, bytes }) = state {
            let key = state_key(news.learner);
            let _ = self.cache.put(&key, version, bytes.into(), STATE_LIFE).await;
        }
        if publish(self.cache.as_ref(), &News::Session(news)).await.is_err() {
            miss(&self.missed);
        }
    }
}

async fn publish(cache: &dyn Cache, news: &News) -> Result<()> {
    let message = serde_json::to_vec(news).unwrap_or_default();
    cache.publish(TOPIC, message.into()).await
}

/// Makes the cache and all processes forget a learner whom the records have erased: in the place
/// of the state stands a last version, which outlives every write that was under way.
///
/// # Errors
/// `Unavailable` when the cache does not answer.
pub(crate) async fn forget(cache: &dyn Cache, learner: LearnerId) -> Result<()> {
    cache.put(&state_key(learner), cache::LAST, Bytes::new(), STATE_LIFE).await?;
    publish(cache, &News::Erased { erased: learner }).await
}

fn state_key(learner: LearnerId) -> String {
    format!("state:{}", name(learner))
}

/// What the cache calls a learner. Nothing leads from it to the learner's id.
pub(crate) fn name(learner: LearnerId) -> Uuid {
    Uuid::new_v5(&NAMESPACE, learner.0.as_bytes())
}
