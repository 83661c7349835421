//! Learning the model from the log of answers.
//!
//! What is learned follows from the log bit by bit. After each snapshot the learners' states are
//! forgotten and read anew from the log as their answers come, so that going on from a snapshot and
//! never having stopped are the same.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use quizmentor_adaptive::{Fold, Learner, Model, Snapshot, Statistics};
use quizmentor_core::{LearnerId, Mode, Response};
use quizmentor_store::{
    Result,
    records::{Records, SnapshotInfo, StoredAnswer},
};

use crate::context::{Context, outcome};

/// Answers fetched at a time.
pub(crate) const CHUNK: usize = 1_000;
/// Learners whose state is kept; past that all are dropped and read again as needed.
const MAX_LEARNERS: usize = 20_000;

/// The model being learned, and how far.
pub(crate) struct Student {
    fold: Fold,
    statistics: Statistics,
    /// Last answer learned from.
    pub(crate) sequence: u64,
    /// Answers since the last snapshot.
    pub(crate) unpublished: u64,
    /// Snapshots of the past that lie ahead, the first one first.
    ahead: VecDeque<SnapshotInfo>,
}

impl Student {
    /// Goes on from the last snapshot; when it cannot be read, from the start of the log.
    pub(crate) async fn resume(records: &dyn Records) -> Result<Self> {
        let Some(last) = records.latest_snapshot().await? else {
            return Self::from_start(records).await;
        };
        match Snapshot::decode(&last.bytes) {
            Ok(Snapshot { model, statistics }) => Ok(Self {
                statistics,
                sequence: last.info.upto_sequence,
                ..Self::new(Fold::new(model))
            }),
            Err(error) => {
                tracing::warn!(%error, "the last snapshot is unreadable; learning from the start");
                Self::from_start(records).await
            }
        }
    }

    /// Begins with the first answer of the log, and passes the snapshots of the past on the way.
    pub(crate) async fn from_start(records: &dyn Records) -> Result<Self> {
        let ahead = records.snapshots().await?.into_iter().rev().collect();
        Ok(Self { ahead, ..Self::new(Fold::default()) })
    }

    fn new(fold: Fold) -> Self {
        Self {
            fold,
            statistics: Statistics::default(),
            sequence: 0,
            unpublished: 0,
            ahead: VecDeque::new(),
        }
    }

    /// Version of the last snapshot.
    pub(crate) fn version(&self) -> u64 {
        self.fold.model().version()
    }

    /// Whether snapshots of the past lie ahead.
    pub(crate) fn is_behind(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Learns from the next answer of the log; the snapshots of the past that were passed before it.
    pub(crate) async fn learn(
        &mut self,
        records: &dyn Records,
        stored: &StoredAnswer,
    ) -> Result<Vec<Arc<Model>>> {
        let passed = self.reach(stored.sequence);
        let learner = name(stored.answer.learner);
        if self.fold.learner_count() >= MAX_LEARNERS {
            self.fold.forget_learners();
        }
        if self.fold.learner(learner).is_none() {
            let state = self.replay(records, stored).await?;
            self.fold.restore(learner, state);
        }
        let (context, outcome) = (Context::of(stored), outcome(&stored.answer));
        self.count(stored, &context);
        if context.scored {
            self.fold.observe(learner, &context.item, &outcome);
        } else {
            self.fold.observe_pilot(learner, &context.item, &outcome);
        }
        self.sequence = stored.sequence;
        self.unpublished += 1;
        Ok(passed)
    }

    /// Passes the snapshots of the past that had not learned from the answer `sequence`.
    fn reach(&mut self, sequence: u64) -> Vec<Arc<Model>> {
        let mut passed = Vec::new();
        while let Some(past) = self.ahead.pop_front_if(|next| next.upto_sequence < sequence) {
            passed.push(self.publish_as(past.version));
        }
        passed
    }

    /// The next snapshot.
    pub(crate) fn publish(&mut self) -> (Arc<Model>, Statistics) {
        (self.publish_as(self.version() + 1), self.statistics.clone())
    }

    fn publish_as(&mut self, version: u64) -> Arc<Model> {
        self.fold.forget_learners();
        self.unpublished = 0;
        self.fold.publish_as(version)
    }

    fn count(&mut self, stored: &StoredAnswer, context: &Context) {
        let answer = &stored.answer;
        let state = self.fold.learner(name(answer.learner));
        let ability = state.map_or(0.0, |state| f64::from(state.ability(answer.at).mean));
        let counts = self.statistics.counts(context.item.key, context.content.as_u128());
        counts.add(&chosen(&answer.response), ability, answer.predicted, answer.correct);
        let tally = self.statistics.policies.entry(answer.policy.clone()).or_default();
        tally.add(answer.credit, answer.predicted);
        if context.mode == Mode::Test {
            if context.first {
                self.statistics.exposure.begin();
            }
            self.statistics.exposure.note(context.item.key);
        }
    }

    /// The state of a learner before the answer `until`, from the log.
    async fn replay(&self, records: &dyn Records, until: &StoredAnswer) -> Result<Learner> {
        let mut state = Learner::new();
        let mut after = 0;
        loop {
            let answers = records.answers_of(until.answer.learner, after, CHUNK).await?;
            for stored in &answers {
                if stored.sequence >= until.sequence {
                    return Ok(state);
                }
                Context::of(stored).apply(&mut state, self.fold.model(), &outcome(&stored.answer));
                after = stored.sequence;
            }
            if answers.len() < CHUNK {
                return Ok(state);
            }
        }
    }
}

/// 62 of these bits are random.
fn name(learner: LearnerId) -> u64 {
    learner.0.as_u64_pair().1
}

/// The options chosen, in the author's order; of a statement, 0 is true and 1 is false.
fn chosen(response: &Response) -> Vec<u8> {
    match response {
        Response::Option { option } => vec![*option],
        Response::Options { options } => options.clone(),
        Response::Truth { truth } => vec![u8::from(!truth)],
        _ => Vec::new(),
    }
}

/// The states of all learners, learned anew from the log: bit by bit those that are stored, unless
/// a learner was erased. The models that learned from the erased answers cannot be had back, and
/// the states of others rest on them.
///
/// # Errors
/// When the records cannot be read.
pub async fn rebuilt_states(records: &dyn Records) -> Result<BTreeMap<LearnerId, Learner>> {
    let last_uses = last_uses(records).await?;
    let mut student = Student::from_start(records).await?;
    let mut models = BTreeMap::from([(0, Arc::new(Model::new()))]);
    let mut states: BTreeMap<LearnerId, Learner> = BTreeMap::new();
    loop {
        let answers = records.answers_after(student.sequence, CHUNK).await?;
        for stored in &answers {
            let answer = &stored.answer;
            let passed = student.learn(records, stored).await?;
            models.extend(passed.into_iter().map(|model| (model.version(), model)));
            let model = models
                .get(&answer.snapshot)
                .ok_or(quizmentor_store::Error::NotFound("snapshot of an answer"))?;
            let state = states.entry(answer.learner).or_default();
            Context::of(stored).apply(state, model, &outcome(&stored.answer));
            models.retain(|v, _| {
                *v == student.version()
                    || last_uses.get(v).is_some_and(|last| *last > stored.sequence)
            });
        }
        if answers.len() < CHUNK {
            return Ok(states);
        }
    }
}

/// The last answer that was served by each version of the model.
async fn last_uses(records: &dyn Records) -> Result<BTreeMap<u64, u64>> {
    let mut uses = BTreeMap::new();
    let mut after = 0;
    loop {
        let answers = records.answers_after(after, CHUNK).await?;
        for stored in &answers {
            uses.insert(stored.answer.snapshot, stored.sequence);
            after = stored.sequence;
        }
        if answers.len() < CHUNK {
            return Ok(uses);
        }
    }
}
