//! The terms of a choice, in numbers and in words.

use quizmentor_core::{Level, SkillId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its difficulty suits the learner.
    RightDifficulty,
    /// Its review is due.
    DueReview,
    /// It is among those that tell most about the learner's ability.
    MostInformative,
    /// It is on trial; the answer is not scored.
    Pilot,
}

/// The terms of the score by which items compete; higher is better.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Terms {
    /// How well the expected success fits the target; 0 is a perfect fit, else negative.
    pub fit: f64,
    /// What the answer would tell about the learner's ability.
    pub information: f64,
    /// Bonus of an item never met.
    pub novelty: f64,
    /// Loss of an item that is asked more often than others.
    pub exposure: f64,
    /// Loss of an item on the skill just practised.
    pub variety: f64,
}

impl Terms {
    /// The score.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.fit + self.information + self.novelty + self.exposure + self.variety
    }
}

/// Why this question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// A plain sentence or two for the learner.
    pub sentence: String,
    /// What decided.
    pub reason: Reason,
    /// Name and version of the policy that chose.
    pub policy: String,
    /// Version of the model that it used.
    pub model: u64,
    /// The leading skill of the question.
    pub skill: Option<SkillId>,
    /// Its Bloom level.
    pub level: Option<Level>,
    /// Predicted probability of a right answer, (0, 1).
    pub probability: f64,
    /// The range of success that practice aims at.
    pub target: Option<[f64; 2]>,
    /// Probability that it is still remembered, for a review.
    pub retrievability: Option<f64>,
    /// The terms of the score.
    pub terms: Terms,
    /// Items that the request left to choose from.
    pub candidates: u32,
}

impl Why {
    /// Puts the numbers into words.
    pub(super) fn worded(mut self, skill_is_new: bool) -> Self {
        self.sentence = match self.reason {
            Reason::RightDifficulty => self.difficulty_in_words(skill_is_new),
            Reason::DueReview => format!(
                "Time to review this one: the chance that you still remember it has fallen to \
                 {}, and recalling it now makes it last longer.",
                percent(self.retrievability.unwrap_or(self.probability))
            ),
            Reason::Pilot => "This question is new and on trial: your answer shows how hard it is \
                 and is not scored."
                .to_owned(),
            Reason::MostInformative => format!(
                "This question tells much about your level: your estimated chance is {}.",
                percent(self.probability)
            ),
        };
        self
    }

    fn difficulty_in_words(&self, skill_is_new: bool) -> String {
        let chance = percent(self.probability);
        let [low, high] = self.target.unwrap_or([0.0, 1.0]);
        // As the reader sees the numbers: 69.8 % is shown as 70 %, which is within 70 to 85 %.
        let shown = |p: f64| (100.0 * p).round();
        let fit = if shown(self.probability) < shown(low) {
            "harder than practice usually aims at"
        } else if shown(self.probability) > shown(high) {
            "easier than practice usually aims at"
        } else {
            "hard enough to teach you something, easy enough to succeed"
        };
        let skill = match (&self.skill, skill_is_new) {
            (Some(skill), true) => {
                format!(" It is your first on {}.", skill.name().replace('-', " "))
            }
            _ => String::new(),
        };
        format!("You have an estimated {chance} chance here: {fit}.{skill}")
    }
}

fn percent(p: f64) -> String {
    format!("{:.0} %", (100.0 * p).clamp(1.0, 99.0))
}
