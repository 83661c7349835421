//! The work that no request waits for: following the bank, analysing questions, learning the
//! model.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use quizmentor_adaptive::{Fold, Item, ItemKey, Learner, Model, Outcome, SkillKey};
use quizmentor_bloom::detect_language;
use quizmentor_core::{LearnerId, Level, Question, QuestionId, Status};
use quizmentor_store::{
    Result as StoreResult,
    records::{Analysis, SnapshotInfo, StoredAnswer},
    vectors::{Payload, Point},
};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use crate::{App, Problem, bank::Bank};

/// How often other processes' changes to the bank are looked for.
const BANK_PERIOD: Duration = Duration::from_secs(2);
/// How often new answers are looked for.
const FOLD_PERIOD: Duration = Duration::from_secs(1);
/// Answers fetched at a time.
const CHUNK: usize = 1_000;
/// A snapshot is published after so many answers …
const SNAPSHOT_ANSWERS: u64 = 500;
/// … or, if there was any answer, after this time.
const SNAPSHOT_PERIOD: Duration = Duration::from_secs(30);
/// How often what is stored of the questions is compared anew with what should be.
const SYNC_PERIOD: Duration = Duration::from_mins(10);
/// Questions analyzed at a time.
const BATCH: usize = 8;
/// Learners whose state the fold keeps; past that it drops all and reads them again as needed.
const MAX_LEARNERS: usize = 20_000;

impl App {
    /// Follows the bank's changes until dropped.
    pub async fn follow_bank(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(BANK_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.refresh_bank().await {
                tracing::warn!(%error, "the bank could not be refreshed");
            }
        }
    }

    /// Classifies and embeds new and changed questions until dropped.
    pub async fn analyze_questions(self: Arc<Self>) {
        loop {
            if let Err(problem) = self.follow_questions().await {
                tracing::warn!(detail = problem.detail, "analysis of questions put off");
                tokio::time::sleep(BANK_PERIOD).await;
            }
        }
    }

    /// Compares all that is stored with what should be, and then follows the bank for a while.
    async fn follow_questions(&self) -> Result<(), Problem> {
        let mut analyst = Analyst::default();
        let next_sync = Instant::now() + SYNC_PERIOD;
        loop {
            analyst.catch_up(self).await?;
            let changed = self.bank_changed.notified();
            if tokio::time::timeout_at(next_sync, changed).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Learns the model from the log of answers until dropped.
    pub async fn learn_model(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(FOLD_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut student = None;
        loop {
            ticks.tick().await;
            if let Err(error) = learn(&self, &mut student).await {
                tracing::warn!(%error, "learning from answers put off");
                student = None;
            }
        }
    }
}

/// Keeps the analyses of all questions at the present model.
#[derive(Default)]
struct Analyst {
    known: HashMap<QuestionId, Known>,
    loaded: bool,
}

/// What a question's analysis was made of.
#[derive(PartialEq)]
struct Known {
    stem_hash: [u8; 32],
    payload: Payload,
    level: Level,
}

impl Analyst {
    async fn catch_up(&mut self, app: &App) -> Result<(), Problem> {
        let bank = Arc::clone(&app.bank());
        if !self.loaded {
            self.load(app, &bank).await?;
            self.loaded = true;
        }
        let archived: Vec<_> =
            self.known.keys().filter(|id| !is_searched(&bank, id)).cloned().collect();
        app.vectors.remove(&archived).await?;
        self.known.retain(|id, _| is_searched(&bank, id));
        let pending: Vec<_> = bank
            .questions
            .values()
            .filter(|question| question.status != Status::Archived && !self.knows(question))
            .cloned()
            .collect();
        for batch in pending.chunks(BATCH) {
            self.analyze(app, batch).await?;
        }
        self.tell_levels(app).await;
        Ok(())
    }

    fn knows(&self, question: &Question) -> bool {
        self.known.get(&question.id).is_some_and(|known| {
            let Payload { skill, level, status, .. } = &known.payload;
            (skill, level, status) == (&question.skill, &question.level, &question.status)
                && known.stem_hash == stem_hash(question)
        })
    }

    /// Takes over what was stored before, and brings the vectors into line with it.
    async fn load(&mut self, app: &App, bank: &Bank) -> Result<(), Problem> {
        let model = app.compute.model_version();
        let mut stored = stored_vectors(app).await?;
        let mut after = None;
        loop {
            let page = app.records.analyses(model, after.as_ref(), CHUNK).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.question.clone());
            let mut points = Vec::with_capacity(page.len());
            for analysis in page {
                let Some(question) = bank.question(&analysis.question) else { continue };
                if question.status != Status::Archived && analysis.stem_hash == stem_hash(question)
                {
                    points.push(self.take(question, analysis));
                }
            }
            let mut points = searchable(points);
            points.retain(|point| stored.remove(&point.id) != Some(point.digest()));
            app.vectors.put(&points).await?;
        }
        let gone: Vec<_> = stored.into_keys().collect();
        app.vectors.remove(&gone).await?;
        Ok(())
    }

    async fn analyze(&mut self, app: &App, batch: &[Arc<Question>]) -> Result<(), Problem> {
        let stems: Vec<String> = batch.iter().map(|question| question.stem.clone()).collect();
        let found = app
            .compute
            .run(move |engine| {
                let stems: Vec<_> = stems.iter().map(String::as_str).collect();
                engine.analyze(&stems)
            })
            .await?;
        let analyses: Vec<_> = batch
            .iter()
            .zip(found)
            .map(|(question, found)| Analysis {
                question: question.id.clone(),
                model: app.compute.model_version().to_owned(),
                stem_hash: stem_hash(question),
                level: found.classification.top,
                embedding: found.embedding,
            })
            .collect();
        app.records.put_analyses(&analyses).await?;
        let points: Vec<_> = batch
            .iter()
            .zip(analyses)
            .map(|(question, analysis)| self.take(question, analysis))
            .collect();
        app.vectors.put(&searchable(points)).await?;
        Ok(())
    }

    fn take(&mut self, question: &Question, analysis: Analysis) -> Point {
        let payload = payload(question);
        let known = Known {
            stem_hash: analysis.stem_hash,
            payload: payload.clone(),
            level: analysis.level,
        };
        self.known.insert(question.id.clone(), known);
        Point { id: question.id.clone(), vector: analysis.embedding, payload }
    }

    /// Gives the adaptive engine a level for each question whose author states none.
    async fn tell_levels(&self, app: &App) {
        let levels: HashMap<_, _> = app
            .bank()
            .questions
            .values()
            .filter(|question| question.level.is_none())
            .filter_map(|question| Some((question.id.clone(), self.known.get(&question.id)?.level)))
            .collect();
        if app.bank().levels != levels {
            app.replace_bank(|bank| bank.with_levels(levels)).await;
        }
    }
}

/// The digests of all vectors.
async fn stored_vectors(app: &App) -> Result<HashMap<QuestionId, Uuid>, Problem> {
    let (mut stored, mut from) = (HashMap::new(), None);
    loop {
        let page = app.vectors.stored(from.as_deref(), CHUNK).await?;
        stored.extend(page.points.into_iter().map(|point| (point.id, point.digest)));
        from = page.next;
        if from.is_none() {
            return Ok(stored);
        }
    }
}

/// Those with a direction: a stem without any word that the model knows has none.
fn searchable(mut points: Vec<Point>) -> Vec<Point> {
    points.retain(|point| point.vector.iter().any(|&number| number != 0.0));
    points
}

fn is_searched(bank: &Bank, id: &QuestionId) -> bool {
    bank.question(id).is_some_and(|question| question.status != Status::Archived)
}

fn payload(question: &Question) -> Payload {
    Payload {
        skill: question.skill.clone(),
        level: question.level,
        language: detect_language(&question.stem).code,
        status: question.status,
    }
}

fn stem_hash(question: &Question) -> [u8; 32] {
    Sha256::digest(question.stem.as_bytes()).into()
}

/// The model being learned, and how far.
struct Student {
    fold: Fold,
    /// Last answer learned from.
    sequence: u64,
    unpublished: u64,
    published_at: Instant,
    learners: HashSet<LearnerId>,
}

/// Learns from all new answers and publishes a snapshot when it is time.
async fn learn(app: &App, student: &mut Option<Student>) -> StoreResult<()> {
    if student.is_none() {
        *student = Some(Student::resume(app).await?);
    }
    let Some(student) = student else { return Ok(()) };
    loop {
        let answers = app.records.answers_after(student.sequence, CHUNK).await?;
        for stored in &answers {
            student.learn(app, stored).await?;
        }
        let time = student.unpublished >= SNAPSHOT_ANSWERS
            || (student.unpublished > 0 && student.published_at.elapsed() >= SNAPSHOT_PERIOD);
        if time {
            student.publish(app).await?;
        }
        if answers.len() < CHUNK {
            return Ok(());
        }
    }
}

impl Student {
    async fn resume(app: &App) -> StoreResult<Self> {
        let sequence = app.records.snapshots().await?.first().map_or(0, |info| info.upto_sequence);
        let model = Arc::clone(app.bank().engine.model());
        Ok(Self {
            fold: Fold::new(Model::clone(&model)),
            sequence,
            unpublished: 0,
            published_at: Instant::now(),
            learners: HashSet::new(),
        })
    }

    async fn learn(&mut self, app: &App, stored: &StoredAnswer) -> StoreResult<()> {
        let bank = Arc::clone(&app.bank());
        let learner = stored.answer.learner;
        if self.learners.len() >= MAX_LEARNERS {
            self.learners.clear();
            self.fold = Fold::new(self.fold.model().clone());
        }
        if self.learners.insert(learner) {
            let state = self.replay(app, &bank, stored).await?;
            self.fold.restore(name(learner), state);
        }
        self.fold.observe(name(learner), &item(&bank, stored), &outcome(stored));
        self.sequence = stored.sequence;
        self.unpublished += 1;
        Ok(())
    }

    /// The state of a learner before the answer `until`, from the log.
    async fn replay(&self, app: &App, bank: &Bank, until: &StoredAnswer) -> StoreResult<Learner> {
        let mut state = Learner::new();
        let mut after = 0;
        loop {
            let answers = app.records.answers_of(until.answer.learner, after, CHUNK).await?;
            for stored in &answers {
                if stored.sequence >= until.sequence {
                    return Ok(state);
                }
                state.observe(self.fold.model(), &item(bank, stored), &outcome(stored));
                after = stored.sequence;
            }
            if answers.len() < CHUNK {
                return Ok(state);
            }
        }
    }

    async fn publish(&mut self, app: &App) -> StoreResult<()> {
        let model = self.fold.publish();
        let info = SnapshotInfo { version: model.version(), upto_sequence: self.sequence };
        app.records.put_snapshot(info, &model.encode()).await?;
        app.records.empty_snapshots_below(info.version).await?;
        app.replace_bank(|bank| bank.with_model(model)).await;
        tracing::debug!(version = info.version, upto = info.upto_sequence, "model published");
        self.unpublished = 0;
        self.published_at = Instant::now();
        Ok(())
    }
}

/// 62 of these bits are random.
fn name(learner: LearnerId) -> u64 {
    learner.0.as_u64_pair().1
}

/// The item answered; of a question taken out since, its skill is still known.
fn item(bank: &Bank, stored: &StoredAnswer) -> Item {
    let answer = &stored.answer;
    bank.engine.catalog().item(&answer.question).cloned().unwrap_or_else(|| {
        Item::bare(ItemKey::from(&answer.question), vec![SkillKey::from(&answer.skill)])
    })
}

fn outcome(stored: &StoredAnswer) -> Outcome {
    let answer = &stored.answer;
    Outcome {
        correct: answer.correct,
        credit: answer.credit as f32,
        at: Some(answer.at),
        elapsed_ms: answer.elapsed_ms,
        hint: false,
    }
}
