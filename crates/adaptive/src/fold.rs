//! The background learner: replays answers in the order of the log and learns the next model.

use std::sync::Arc;

use crate::{
    Item, Learner, Model, Outcome, Prediction,
    features::{Belief, Features},
    keys::KeyMap,
};

/// A model being learned, with the states of the learners whose answers it has seen.
///
/// The learners here have seen each answer with the model of that very moment, those of serving
/// with the snapshot of the time; both follow from the log bit by bit.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    model: Model,
    learners: KeyMap<u64, Learner>,
}

impl Fold {
    /// Goes on from `model`, with no learner known.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Self { model, learners: KeyMap::default() }
    }

    /// Predicts an answer, then learns from it. `learner` is any stable 64-bit name.
    pub fn observe(&mut self, learner: u64, item: &Item, outcome: &Outcome) -> Prediction {
        let learner = self.learners.entry(learner).or_default();
        let now = outcome.at.map(jiff::Timestamp::as_second);
        self.model.admit(item);
        let belief = Belief::new(&self.model, learner, item, now);
        let features = Features::new(&self.model, learner, item, &belief, now);
        let prediction = self.model.respond(&features, &belief);
        let step = belief.observe(item, outcome);
        self.model.learn(item, &features, &belief, step, outcome.worth());
        learner.absorb(item, outcome, &belief, step);
        prediction
    }

    /// Learns from an answer to an item on trial: of the item alone, for the answer is not scored.
    /// The learner has merely met it.
    pub fn observe_pilot(&mut self, learner: u64, item: &Item, outcome: &Outcome) -> Prediction {
        let state = self.learners.entry(learner).or_default();
        let now = outcome.at.map(jiff::Timestamp::as_second);
        self.model.admit(item);
        let belief = Belief::new(&self.model, state, item, now);
        let prediction = self.model.predict_with(state, item, &belief, now);
        let step = belief.observe(item, outcome);
        self.model.learn_item(item, &belief, step, outcome.worth());
        state.study(item, outcome.at);
        prediction
    }

    /// A learner's state, if it was seen.
    #[must_use]
    pub fn learner(&self, name: u64) -> Option<&Learner> {
        self.learners.get(&name)
    }

    /// Notes that a learner was shown the item with its answer.
    pub fn study(&mut self, learner: u64, item: &Item, at: Option<jiff::Timestamp>) {
        self.learners.entry(learner).or_default().study(item, at);
    }

    /// The model as it stands, under the next version, for serving to swap to.
    pub fn publish(&mut self) -> Arc<Model> {
        self.publish_as(self.model.version() + 1)
    }

    /// The same under a version that it had before.
    pub fn publish_as(&mut self, version: u64) -> Arc<Model> {
        self.model.set_version(version);
        Arc::new(self.model.clone())
    }

    /// Forgets the learners, so that what follows depends on the model alone.
    pub fn forget_learners(&mut self) {
        self.learners.clear();
    }

    /// The model being learned.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How many learners were seen.
    #[must_use]
    pub fn learner_count(&self) -> usize {
        self.learners.len()
    }

    /// The learners seen.
    pub fn learners(&self) -> impl Iterator<Item = (u64, &Learner)> {
        self.learners.iter().map(|(&name, learner)| (name, learner))
    }

    /// Puts in a learner's state, for instance after a restart.
    pub fn restore(&mut self, name: u64, learner: Learner) {
        self.learners.insert(name, learner);
    }
}
