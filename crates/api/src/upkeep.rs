//! What keeps an installation going: opening it, inviting people, following the bank.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use quizmentor_adaptive::{Snapshot, paths::SkillGraph};
use quizmentor_core::{Clock, LearnerId, Question, Role, SignedDuration, Timestamp};
use quizmentor_formats::{Defaults, Problem as FormatProblem, gift};
use quizmentor_services::flags::Flags;
use quizmentor_store::{
    Result,
    cache::Cache,
    records::{LinkHash, Put, QuestionFilter, Records, SnapshotInfo},
    vectors::Vectors,
};
use tokio::sync::{Mutex, Notify};
use uuid::Uuid;

use crate::{
    App, Compute, Experiment, Identity, LINK_LIFE, LocalIdentity, auth, bank::Bank, hot::Hot,
    live::Live,
};

/// What an [`App`] is made of.
pub struct Components {
    /// The durable truth.
    pub records: Arc<dyn Records>,
    /// What may vanish.
    pub cache: Arc<dyn Cache>,
    /// Embeddings of the bank.
    pub vectors: Arc<dyn Vectors>,
    /// The Bloom engine.
    pub compute: Compute,
    /// Signs tokens.
    pub issuer: LocalIdentity,
    /// Verifies tokens.
    pub identity: Arc<dyn Identity>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Who has which feature.
    pub flags: Arc<dyn Flags>,
    /// The policies that are compared, if any are.
    pub experiment: Option<Experiment>,
}

impl App {
    /// Reads the bank and the latest model from the records.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub async fn open(components: Components) -> Result<Arc<Self>> {
        let snapshot = match components.records.latest_snapshot().await? {
            None => Snapshot::default(),
            Some(stored) => Snapshot::decode(&stored.bytes).unwrap_or_else(|error| {
                // Answers are the truth and the model can be learned from them again.
                tracing::error!(%error, "stored model unreadable; beginning with a new one");
                Snapshot::default()
            }),
        };
        let exposure = snapshot.statistics.exposure.clone();
        let bank = Bank::empty(Arc::new(snapshot.model), Arc::new(snapshot.statistics));
        let app = Self {
            hot: Hot::new(Arc::clone(&components.records), Arc::clone(&components.cache)),
            live: Live::default(),
            components,
            bank: ArcSwap::from_pointee(bank),
            bank_writer: Mutex::new(()),
            bank_changed: Notify::new(),
            exposure: std::sync::Mutex::new(exposure),
        };
        app.refresh_prerequisites().await?;
        app.refresh_bank().await?;
        Ok(Arc::new(app))
    }

    pub(crate) fn bank(&self) -> Guard<Arc<Bank>> {
        self.bank.load()
    }

    /// Takes over what changed in the records since the last time.
    pub(crate) async fn refresh_bank(&self) -> Result<()> {
        let _writer = self.bank_writer.lock().await;
        if let Some(bank) = self.bank.load().refreshed(self.records.as_ref()).await? {
            self.bank.store(Arc::new(bank));
            self.bank_changed.notify_one();
        }
        Ok(())
    }

    /// Takes over the prerequisites of skills where they are newer.
    pub(crate) async fn refresh_prerequisites(&self) -> Result<()> {
        let stored = self.records.prerequisites().await?;
        if stored.version <= self.bank().prerequisites.version {
            return Ok(());
        }
        match SkillGraph::of(stored.of.clone()) {
            Ok(graph) => self.replace_bank(|bank| bank.with_prerequisites(stored, graph)).await,
            Err(error) => tracing::error!(%error, "stored prerequisites are of no use"),
        }
        Ok(())
    }

    /// Takes over the latest model where it is newer, as another process learned it.
    pub(crate) async fn refresh_model(&self) -> Result<()> {
        let present = self.bank().engine.model().version();
        let newer = |info: SnapshotInfo| info.version > present;
        if !self.records.latest_snapshot_info().await?.is_some_and(newer) {
            return Ok(());
        }
        let stored = self.records.latest_snapshot().await?;
        let Some(Ok(snapshot)) = stored.map(|stored| Snapshot::decode(&stored.bytes)) else {
            return Ok(());
        };
        self.exposure().catch_up(&snapshot.statistics.exposure);
        let (model, statistics) = (Arc::new(snapshot.model), Arc::new(snapshot.statistics));
        self.replace_bank(|bank| {
            if model.version() > bank.engine.model().version() {
                bank.with_model(model, statistics)
            } else {
                bank.clone()
            }
        })
        .await;
        Ok(())
    }

    /// Swaps to another view of the bank, made from the present one.
    pub(crate) async fn replace_bank(&self, change: impl FnOnce(&Bank) -> Bank) {
        let _writer = self.bank_writer.lock().await;
        let bank = change(&self.bank.load());
        self.bank.store(Arc::new(bank));
    }

    /// Takes or renews the lease on `work` for `life` from now; whether this process has it. Whoever
    /// stops taking it loses it.
    pub(crate) async fn take_lease(&self, work: &str, life: SignedDuration) -> Result<bool> {
        let now = self.clock.now();
        self.records.take_lease(work, self.hot.origin(), now, now + life).await
    }

    /// Stores questions and shows them to requests at once.
    pub(crate) async fn put_questions(&self, questions: &[Question]) -> Result<Put> {
        let put = self.records.put_questions(questions).await?;
        self.refresh_bank().await?;
        Ok(put)
    }
}

/// Fills an empty bank with the questions of the GIFT texts `files` (name and content), and
/// returns how many there are. A bank that holds anything is left alone.
///
/// # Errors
/// When the records fail, or a text has mistakes: starter questions must be sound.
pub async fn import_starter(
    records: &dyn Records,
    files: &[(&str, &str)],
) -> std::result::Result<usize, StarterError> {
    if records.count_questions(&QuestionFilter::default()).await? > 0 {
        return Ok(0);
    }
    let defaults = Defaults { subject: "General".into(), skill: "General".into() };
    let mut questions = Vec::new();
    for (name, text) in files {
        let import = gift::parse(text, &defaults);
        if let Some(problem) = import.problems.into_iter().next() {
            return Err(StarterError::Unsound((*name).to_owned(), problem));
        }
        questions.extend(import.questions);
    }
    records.put_questions(&questions).await?;
    Ok(questions.len())
}

/// Why the starter questions were not imported.
#[derive(Debug, thiserror::Error)]
pub enum StarterError {
    /// The records failed.
    #[error(transparent)]
    Store(#[from] quizmentor_store::Error),
    /// A file has a mistake.
    #[error("{0}, {1}")]
    Unsound(String, FormatProblem),
}

/// Makes an account and a one-time code to sign in to it; the code and the moment it ends.
///
/// # Errors
/// When the records fail.
pub async fn invite(
    records: &dyn Records,
    role: Role,
    now: Timestamp,
) -> Result<(String, Timestamp)> {
    let learner = LearnerId(Uuid::now_v7());
    let code = auth::new_link_code();
    let expires = now + LINK_LIFE;
    records.create_learner(learner, now).await?;
    records.create_link(LinkHash(auth::link_hash(&code)), role, learner, expires).await?;
    Ok((code, expires))
}
