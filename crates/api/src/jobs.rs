//! The work that no request waits for: following the bank, analysing questions, learning the
//! model.

use std::{collections::HashMap, sync::Arc, time::Duration};

use quizmentor_adaptive::{ItemKey, Snapshot};
use quizmentor_bloom::detect_language;
use quizmentor_core::{Level, Question, QuestionId, SignedDuration, Status};
use quizmentor_store::{
    Error as StoreError, Result as StoreResult,
    records::{Analysis, SnapshotInfo},
    vectors::{Payload, Point},
};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use crate::{
    App, Problem,
    bank::{Bank, Hint},
    student::{CHUNK, Student},
};

/// How often other processes' changes to the bank are looked for.
const BANK_PERIOD: Duration = Duration::from_secs(2);
/// How often new answers are looked for.
const FOLD_PERIOD: Duration = Duration::from_secs(1);
/// A process that has not said for so long that it learns does so no more.
const LEASE: SignedDuration = SignedDuration::from_secs(10);
/// A snapshot is published after so many answers …
const SNAPSHOT_ANSWERS: u64 = 500;
/// … or, if there was any answer, after this time.
const SNAPSHOT_PERIOD: Duration = Duration::from_secs(30);
/// How often what is stored of the questions is compared anew with what should be.
const SYNC_PERIOD: Duration = Duration::from_mins(10);
/// Questions analyzed at a time.
const BATCH: usize = 8;
/// Similarity from which another question tells something of how hard one is …
const KIN: f32 = 0.6;
/// … and how many of them count, the nearest.
const NEIGHBOURS: usize = 5;
/// Questions without answers whose neighbours are looked for; of more, none are.
const MAX_UNKNOWN: usize = 1_000;

impl App {
    /// Follows the bank's changes until dropped.
    pub async fn follow_bank(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(BANK_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let refreshed = async {
                self.refresh_bank().await?;
                self.refresh_prerequisites().await?;
                self.refresh_model().await
            };
            if let Err(error) = refreshed.await {
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

    /// Learns the model from the log of answers until dropped, whenever no other process does.
    pub async fn learn_model(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(FOLD_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lesson = None;
        loop {
            ticks.tick().await;
            if let Err(error) = learn(&self, &mut lesson).await {
                tracing::warn!(%error, "learning from answers put off");
                lesson = None;
            }
            metrics::gauge!("quizmentor_learning").set(f64::from(u8::from(lesson.is_some())));
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
    /// Whether its text holds a word that the model knows, so that it can be compared.
    has_direction: bool,
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
        self.tell_hints(app).await
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
            has_direction: analysis.embedding.iter().any(|&number| number != 0.0),
        };
        self.known.insert(question.id.clone(), known);
        Point { id: question.id.clone(), vector: analysis.embedding, payload }
    }

    /// Gives the adaptive engine a level for each question whose author states none, and for each
    /// that nobody answered the questions with similar texts.
    async fn tell_hints(&self, app: &App) -> Result<(), Problem> {
        let bank = Arc::clone(&app.bank());
        let model = bank.engine.model();
        let unknown = |id: &QuestionId| model.item_answers(ItemKey::from(id)) == 0;
        let few = self.known.keys().filter(|id| unknown(id)).count() <= MAX_UNKNOWN;
        let mut hints = HashMap::new();
        for (id, known) in &self.known {
            let Some(question) = bank.question(id) else { continue };
            let level = question.level.is_none().then_some(known.level);
            let neighbours = if few && unknown(id) && known.has_direction {
                neighbours(app, id).await?
            } else {
                Vec::new()
            };
            if level.is_some() || !neighbours.is_empty() {
                hints.insert(id.clone(), Hint { level, neighbours });
            }
        }
        if *app.bank().hints != hints {
            app.replace_bank(|bank| bank.with_hints(hints)).await;
        }
        Ok(())
    }
}

async fn neighbours(app: &App, id: &QuestionId) -> Result<Vec<(QuestionId, f32)>, Problem> {
    let near = match app.vectors.near(id, KIN, NEIGHBOURS).await {
        Err(StoreError::NotFound(_)) => Vec::new(),
        near => near?,
    };
    Ok(near.into_iter().map(|hit| (hit.id, hit.similarity)).collect())
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

/// Learns from all new answers and publishes a snapshot when it is time. Without the lease there is
/// no lesson: another process has learned on, and its snapshot is where to begin.
async fn learn(app: &App, lesson: &mut Option<Lesson>) -> StoreResult<()> {
    loop {
        if !app.take_lease("learning", LEASE).await? {
            *lesson = None;
            return Ok(());
        }
        let Lesson { student, published_at } = match lesson {
            Some(lesson) => lesson,
            None => lesson.insert(Lesson::begin(app).await?),
        };
        let answers = app.records.answers_after(student.sequence, CHUNK).await?;
        for stored in &answers {
            student.learn(app.records.as_ref(), stored).await?;
            tokio::task::consume_budget().await;
        }
        let time = student.unpublished >= SNAPSHOT_ANSWERS
            || (student.unpublished > 0 && published_at.elapsed() >= SNAPSHOT_PERIOD);
        if time && !student.is_behind() {
            publish(app, student).await?;
            *published_at = Instant::now();
        }
        if answers.len() < CHUNK {
            return Ok(());
        }
    }
}

struct Lesson {
    student: Student,
    published_at: Instant,
}

impl Lesson {
    async fn begin(app: &App) -> StoreResult<Self> {
        let student = Student::resume(app.records.as_ref()).await?;
        Ok(Self { student, published_at: Instant::now() })
    }
}

async fn publish(app: &App, student: &mut Student) -> StoreResult<()> {
    let (model, statistics) = student.publish();
    let info = SnapshotInfo { version: model.version(), upto_sequence: student.sequence };
    app.records.put_snapshot(info, &Snapshot::encode(&model, &statistics)).await?;
    app.records.empty_snapshots_below(info.version).await?;
    app.replace_bank(|bank| bank.with_model(model, Arc::new(statistics))).await;
    tracing::debug!(version = info.version, upto = info.upto_sequence, "model published");
    Ok(())
}
