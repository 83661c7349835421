//! What the adaptive engine knew when a question was asked: stored with the answer, so that states
//! can be learned anew from the log alone.

use quizmentor_adaptive::{Item, ItemKey, Learner, Model, Outcome, SkillKey, select::Chance};
use quizmentor_core::{Mode, PendingQuestion, Question, Session};
use quizmentor_store::records::{Answer, StoredAnswer};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bank::Bank;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Context {
    /// The item as the engine took it.
    pub item: Item,
    /// [`Question::content_id`] of what was shown.
    pub content: Uuid,
    /// Whether the answer counts; not that to a pilot.
    pub scored: bool,
    /// Mode of the session.
    pub mode: Mode,
    /// Whether it is the first answer of the session.
    pub first: bool,
    /// What each policy thought of the choice.
    pub chances: Vec<Chance>,
}

impl Context {
    pub(crate) fn new(
        bank: &Bank,
        session: &Session,
        pending: &PendingQuestion,
        question: &Question,
    ) -> Self {
        let bare =
            || Item::bare(ItemKey::from(&question.id), vec![SkillKey::from(&question.skill)]);
        Self {
            item: bank.engine.catalog().item(&question.id).cloned().unwrap_or_else(bare),
            content: pending.content,
            scored: !pending.pilot,
            mode: session.mode,
            first: session.answered == 0 && session.outcomes.is_empty(),
            chances: Vec::deserialize(&*pending.chances).unwrap_or_default(),
        }
    }

    /// The context of an answer; of one stored before there were contexts, its skill is known.
    pub(crate) fn of(stored: &StoredAnswer) -> Self {
        let answer = &stored.answer;
        Self::deserialize(&answer.context).unwrap_or_else(|_| Self {
            item: Item::bare(ItemKey::from(&answer.question), vec![SkillKey::from(&answer.skill)]),
            content: Uuid::nil(),
            scored: true,
            mode: Mode::Practice,
            first: false,
            chances: Vec::new(),
        })
    }

    /// Takes the outcome into a learner's state.
    pub(crate) fn apply(&self, learner: &mut Learner, model: &Model, outcome: &Outcome) {
        if self.scored {
            learner.observe(model, &self.item, outcome);
        } else {
            learner.study(&self.item, outcome.at);
        }
    }
}

/// The outcome of an answer.
pub(crate) fn outcome(answer: &Answer) -> Outcome {
    Outcome {
        correct: answer.correct,
        credit: answer.credit as f32,
        at: Some(answer.at),
        elapsed_ms: answer.elapsed_ms,
        hint: false,
    }
}
