//! What practice reads again and again, kept out of the records' way: sessions and learner states
//! in this process, the states in the cache as well. And the news of each change, for everyone who
//! keeps or shows it.
//!
//! Whatever is old here does no harm: a write that builds on it meets the version check of the
//! records, and is tried anew on what they hold.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
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
/// Learner states kept at most.
const STATES: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How long both are kept: what is missed of other processes' news is believed no longer.
const LIFE: Duration = Duration::from_mins(1);
/// How long the cache keeps a learner's state.
const STATE_LIFE: Duration = Duration::from_mins(30);
/// News that wait to be told; more are missed, and so are the states that go with them.
const QUEUE: usize = 4_096;
/// News told together at most.
const BATCH: usize = 256;
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

/// Something that is kept for a while.
struct Kept<T> {
    value: T,
    since: Instant,
}

impl<T> Kept<T> {
    fn new(value: T) -> Self {
        Self { value, since: Instant::now() }
    }

    fn is_fresh(&self) -> bool {
        self.since.elapsed() < LIFE
    }
}

/// A session that is kept.
struct KeptSession {
    session: Session,
    /// What `next` replied, and at which revision of the bank.
    reply: Option<(u64, Bytes)>,
}

/// Sessions and learner states, read and written through what is kept of them.
pub(crate) struct Hot {
    records: Arc<dyn Records>,
    cache: Arc<dyn Cache>,
    sessions: Mutex<LruCache<SessionId, Kept<KeptSession>>>,
    states: Mutex<LruCache<LearnerId, Kept<VersionedState>>>,
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
            states: Mutex::new(LruCache::new(STATES)),
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
        if let Some(kept) = self.states().get(&learner).filter(|kept| kept.is_fresh()) {
            return Ok(Some(kept.value.clone()));
        }
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
            self.keep_state(session.learner, state, before);
            self.tell(Kind::AnswerCommitted, session, Some(state.clone()));
        } else {
            // What is kept may be the reason.
            self.states().pop(&session.learner);
            let _ = self.cache.remove(&state_key(session.learner), state.version - 1).await;
        }
        outcome
    }

    /// Forgets all that any process and the cache keep of a learner whom the records have erased.
    ///
    /// # Errors
    /// `Unavailable` when the cache does not answer; this process has forgotten them even so.
    pub(crate) async fn forget(&self, learner: LearnerId) -> Result<()> {
        self.forget_learner(learner);
        forget(self.cache.as_ref(), learner).await
    }

    /// Reads a session anew the next time.
    pub(crate) fn forget_session(&self, id: SessionId) {
        self.sessions().pop(&id);
    }

    /// Drops a learner's sessions and state, those included that are being read.
    pub(crate) fn forget_learner(&self, learner: LearnerId) {
        let mut sessions = self.sessions();
        self.erasures.fetch_add(1, Ordering::Relaxed);
        self.states().pop(&learner);
        let theirs: Vec<_> = sessions
            .iter()
            .filter(|(_, kept)| kept.value.session.learner == learner)
            .map(|(id, _)| *id)
            .collect();
        for id in theirs {
            sessions.pop(&id);
        }
    }

    /// What is told from now on, in every process. Sessions are kept while someone listens.
    pub(crate) async fn listen(&self) -> Result<mpsc::Receiver<Bytes>> {
        let news = self.cache.subscribe(TOPIC).await?;
        self.clear();
        // Of processes that share the records alone, none hears of the others.
        let hears = self.cache.is_shared() || !self.records.is_shared();
        self.hears.store(hears, Ordering::Release);
        Ok(news)
    }

    /// Takes news from [`listen`](Self::listen) to heart. `None` is what cannot be understood.
    pub(crate) fn hear(&self, message: &[u8]) -> Option<News> {
        let news: News = serde_json::from_slice(message).ok()?;
        match &news {
            News::Session(news) if news.origin == self.origin => {}
            News::Session(SessionNews { learner, session, version, .. }) => {
                self.states().pop(learner);
                let mut sessions = self.sessions();
                if sessions.peek(session).is_some_and(|kept| kept.value.session.version < *version)
                {
                    sessions.pop(session);
                }
            }
            News::Erased { erased } => self.forget_learner(*erased),
            News::Missed { missed } if *missed == self.origin => {}
            News::Missed { .. } => self.clear(),
        }
        Some(news)
    }

    /// No news come in any more.
    pub(crate) fn grow_deaf(&self) {
        self.hears.store(false, Ordering::Release);
        self.clear();
    }

    fn clear(&self) {
        self.sessions().clear();
        self.states().clear();
    }

    fn kept(&self, id: SessionId) -> Option<Session> {
        let mut sessions = self.sessions();
        let kept = sessions.get(&id)?;
        if kept.is_fresh() {
            return Some(kept.value.session.clone());
        }
        sessions.pop(&id);
        None
    }

    /// What [`keep_reply`](Self::keep_reply) kept, if it is still what `learner` should get.
    pub(crate) fn reply(&self, learner: LearnerId, id: SessionId, revision: u64) -> Option<Bytes> {
        let mut sessions = self.sessions();
        let kept = sessions.get(&id)?;
        let (at, reply) = kept.value.reply.as_ref()?;
        let current = kept.value.session.learner == learner && kept.is_fresh() && *at == revision;
        current.then(|| reply.clone())
    }

    /// Keeps the reply to a request for the next question of `session`, rendered at a `revision`
    /// of the bank, as long as that very session is kept.
    pub(crate) fn keep_reply(&self, session: &Session, revision: u64, reply: Bytes) {
        let mut sessions = self.sessions();
        let kept = sessions.get_mut(&session.id);
        if let Some(kept) = kept.filter(|kept| kept.value.session.version == session.version) {
            kept.value.reply = Some((revision, reply));
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
        let newer = |kept: &Kept<KeptSession>| kept.value.session.version > session.version;
        if !sessions.peek(&session.id).is_some_and(newer) {
            let kept = KeptSession { session: session.clone(), reply: None };
            sessions.put(session.id, Kept::new(kept));
        }
    }

    /// Keeps the state of a learner that was written since there were `before` erasures.
    fn keep_state(&self, learner: LearnerId, state: &VersionedState, before: u64) {
        if !self.hears.load(Ordering::Acquire) {
            return;
        }
        let mut states = self.states();
        let newer = |kept: &Kept<VersionedState>| kept.value.version > state.version;
        if self.erasures() == before && !states.peek(&learner).is_some_and(newer) {
            states.put(learner, Kept::new(state.clone()));
        }
    }

    fn states(&self) -> MutexGuard<'_, LruCache<LearnerId, Kept<VersionedState>>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, LruCache<SessionId, Kept<KeptSession>>> {
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
        let mut batch = Vec::new();
        loop {
            let received = changes.recv_many(&mut batch, BATCH);
            let is_over = if self.missed.load(Ordering::Acquire) {
                timeout(AMENDS, received).await == Ok(0)
            } else {
                received.await == 0
            };
            if is_over {
                return;
            }
            self.tell_batch(&mut batch).await;
            if self.missed.swap(false, Ordering::AcqRel) {
                let amends = News::Missed { missed: self.origin };
                if publish(self.cache.as_ref(), &amends).await.is_err() {
                    self.missed.store(true, Ordering::Release);
                }
            }
        }
    }

    /// The last state of each learner goes before the news.
    async fn tell_batch(&self, batch: &mut Vec<Change>) {
        let (mut states, mut news) = (HashMap::new(), Vec::new());
        for change in batch.drain(..) {
            states.extend(change.state.map(|state| (change.news.learner, state)));
            news.push(News::Session(change.news));
        }
        let cache = self.cache.as_ref();
        let puts = states.into_iter().map(async |(learner, VersionedState { version, bytes })| {
            cache.put(&state_key(learner), version, bytes.into(), STATE_LIFE).await
        });
        join_all(puts).await;
        for told in join_all(news.iter().map(|news| publish(cache, news))).await {
            if told.is_err() {
                miss(&self.missed);
            }
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
