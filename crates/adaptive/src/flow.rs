//! Flow: whether a session's challenge matches the learner's skill (Csikszentmihalyi, 1990), and how
//! far the target of practice moves for it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a session feels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Challenge and skill match, or too little is known.
    Flow,
    /// Too easy: right and quick.
    Boredom,
    /// Too hard: wrong, the more so when slow.
    Anxiety,
}

/// A running estimate over the answers of a session.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Flow {
    /// Answers taken in.
    pub answers: u32,
    /// Credit beyond the prediction, a moving average, −1 to 1.
    pub surprise: f64,
    /// Share of credit, a moving average, 0 to 1.
    pub success: f64,
    /// Logarithm of the time taken against the usual time, a moving average, −2 to 2.
    pub slowness: f64,
}

/// Weight of the newest answer.
const NEWEST: f64 = 0.25;
/// Answers before anything is said.
const ENOUGH: u32 = 4;
/// The target moves by at most this much.
pub const MOST: f64 = 0.1;

impl Flow {
    /// The estimate after an answer worth `credit` where `predicted` was expected, in
    /// `elapsed_ms` where `expected_ms` is usual.
    #[must_use]
    pub fn after(
        self,
        credit: f64,
        predicted: f64,
        elapsed_ms: Option<u32>,
        expected_ms: u32,
    ) -> Self {
        let finite = |x: f64| if x.is_finite() { x.clamp(0.0, 1.0) } else { 0.5 };
        let (credit, predicted) = (finite(credit), finite(predicted));
        let slowness = elapsed_ms.map_or(self.slowness, |ms| {
            (f64::from(ms.max(1)) / f64::from(expected_ms.max(1))).ln().clamp(-2.0, 2.0)
        });
        let weight = NEWEST.max(1.0 / (f64::from(self.answers) + 1.0));
        let toward = |old: f64, new: f64| old + weight * (new - old);
        Self {
            answers: self.answers.saturating_add(1),
            surprise: toward(self.surprise, credit - predicted),
            success: toward(self.success, credit),
            slowness: toward(self.slowness, slowness),
        }
    }

    /// How far the target success moves, −[`MOST`] to [`MOST`]: up, to easier questions, after more
    /// failures than expected, the more when slow; down after easy success, the more when quick.
    #[must_use]
    pub fn shift(&self) -> f64 {
        if self.answers < ENOUGH {
            return 0.0;
        }
        let pace = 0.05 * self.slowness;
        (0.4 * -self.surprise + pace * (1.0 - self.success + 0.2)).clamp(-MOST, MOST)
    }

    /// The state, where the shift is at least half of what it can be.
    #[must_use]
    pub fn state(&self) -> State {
        match self.shift() {
            shift if shift >= MOST / 2.0 => State::Anxiety,
            shift if shift <= -MOST / 2.0 => State::Boredom,
            _ => State::Flow,
        }
    }

    /// What is done about it, for the learner; nothing in flow.
    #[must_use]
    pub fn sentence(&self) -> Option<&'static str> {
        match self.state() {
            State::Flow => None,
            State::Boredom => Some("That went easily, so the next questions are a little harder."),
            State::Anxiety => {
                Some("That was tough going, so the next questions are a little easier.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(credits: &[f64], elapsed_ms: u32) -> Flow {
        credits
            .iter()
            .fold(Flow::default(), |flow, &c| flow.after(c, 0.75, Some(elapsed_ms), 10_000))
    }

    #[test]
    fn failures_make_it_easier_and_easy_success_harder() {
        let lost = session(&[0.0; 6], 20_000);
        let bored = session(&[1.0; 8], 3_000);
        let even = session(&[1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0], 10_000);
        assert_eq!(lost.state(), State::Anxiety);
        assert_eq!((bored.state(), even.state()), (State::Boredom, State::Flow));
        assert!(lost.sentence().unwrap().contains("easier") && even.sentence().is_none());
        assert!(session(&[1.0; 8], 30_000).shift() > bored.shift());
    }

    #[test]
    fn a_few_answers_say_nothing_and_the_shift_is_bounded() {
        assert_eq!(session(&[0.0; 3], 90_000).shift(), 0.0);
        for credit in [0.0, 1.0, f64::NAN, f64::INFINITY, -7.0] {
            for elapsed in [0, u32::MAX] {
                let shift = session(&[credit; 20], elapsed).shift();
                assert!((-MOST..=MOST).contains(&shift), "{shift}");
            }
        }
    }
}
