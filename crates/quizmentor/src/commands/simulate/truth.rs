//! What is true of synthetic learners and questions, and hidden from the server.
//!
//! A learner has an ability θ, a question a difficulty b, both in logits, and a guess floor c: the
//! chance of a random answer to it. The learner answers right with probability
//!
//! p = c + (1 − c) / (1 + exp(b − θ)),
//!
//! the three-parameter logistic model (Birnbaum 1968) with discrimination 1. At the start
//! θ ~ N(0, 1); b ~ N(0, [`DIFFICULTY_SD`]) by a hash of the question's id, plus [`LEVEL_STEP`] for
//! each Bloom level above the middle.
//!
//! Each answer with feedback, right or wrong, teaches:
//!
//! Δθ = [`GREATEST_RISE`] · pⁿ (1 − p) / m, with n = [`EASE`], m the maximum of pⁿ (1 − p).
//!
//! Most is learned at p = n / (n + 1) = ¾, where success is likely but not certain; nothing is
//! learned from what is certain or hopeless. That challenge of middling size teaches best is an
//! assumption, after the “zone of proximal development” (Vygotsky 1978) and the optimal rate of
//! errors in training (Wilson et al. 2019, near 15 %); it is not drawn from any data.

use std::time::Duration;

use quizmentor_core::{PresentedBody, PresentedQuestion};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Normal, StandardNormal};
use uuid::Uuid;

/// Standard deviation of the difficulties within a Bloom level.
const DIFFICULTY_SD: f64 = 0.8;
/// What a Bloom level adds to the difficulty.
const LEVEL_STEP: f64 = 0.3;
/// The middle of the levels' indices, 0 to 5; it stands for a level that is not stated, too.
const MIDDLE_LEVEL: f64 = 2.5;
/// What one answer can raise the ability by, at most.
const GREATEST_RISE: f64 = 0.02;
/// The exponent n: the greater, the easier the questions that teach most.
const EASE: i32 = 3;
/// Standard deviation of the logarithm of the time to think about a question.
const THINK_SD: f64 = 0.5;

/// An ability at the start.
pub(super) fn draw_ability(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// A time to think about a question.
pub(super) fn draw_think(median: Duration, rng: &mut impl Rng) -> Duration {
    let spread = LogNormal::new(0.0, THINK_SD).expect("the deviation is finite").sample(rng);
    median.mul_f64(spread)
}

/// What decides how a question is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Item {
    difficulty: f64,
    guess: f64,
}

impl Item {
    pub(super) fn of(question: &PresentedQuestion) -> Self {
        let (seed, _) =
            Uuid::new_v5(&Uuid::NAMESPACE_OID, question.id.as_str().as_bytes()).as_u64_pair();
        let within_level = Normal::new(0.0, DIFFICULTY_SD)
            .expect("the deviation is finite")
            .sample(&mut ChaCha8Rng::seed_from_u64(seed));
        let level = question.level.map_or(MIDDLE_LEVEL, |level| level.index() as f64);
        Self {
            difficulty: within_level + LEVEL_STEP * (level - MIDDLE_LEVEL),
            guess: guess_floor(&question.body),
        }
    }

    /// Probability of a right answer, from the guess floor to 1.
    pub(super) fn success(&self, ability: f64) -> f64 {
        self.guess + (1.0 - self.guess) / (1.0 + (self.difficulty - ability).exp())
    }
}

/// What an answer with feedback raises the ability by, when success had this probability.
pub(super) fn rise(success: f64) -> f64 {
    let learned = |p: f64| p.powi(EASE) * (1.0 - p);
    let best = f64::from(EASE) / f64::from(EASE + 1);
    GREATEST_RISE * learned(success) / learned(best)
}

/// Probability that [`guess`](super::response::guess) is fully right.
fn guess_floor(body: &PresentedBody) -> f64 {
    match body {
        PresentedBody::SingleChoice { options } => 1.0 / options.len().max(1) as f64,
        PresentedBody::MultipleChoice { options } => 0.5_f64.powi(options.len() as i32),
        PresentedBody::TrueFalse => 0.5,
        PresentedBody::Matching { prompts, answers } => {
            (1.0 / answers.len().max(1) as f64).powi(prompts.len() as i32)
        }
        PresentedBody::ShortAnswer | PresentedBody::Numerical | PresentedBody::Essay => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use quizmentor_core::{Level, QuestionId, SkillId, TextFormat};

    use super::*;

    fn question(id: &str, level: Option<Level>, body: PresentedBody) -> PresentedQuestion {
        PresentedQuestion {
            id: QuestionId::new(id).unwrap(),
            skill: SkillId::new("a/b").unwrap(),
            skill_name: "B".to_owned(),
            level,
            stem: "?".to_owned(),
            format: TextFormat::Plain,
            body,
        }
    }

    fn mean_and_sd(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        (mean, (squares / values.len() as f64).sqrt())
    }

    #[test]
    fn difficulties_come_from_the_id_and_the_level() {
        let of = |id: &str, level| Item::of(&question(id, level, PresentedBody::ShortAnswer));
        let middle: Vec<_> = (0..2_000).map(|i| of(&format!("q-{i}"), None).difficulty).collect();
        let (mean, sd) = mean_and_sd(&middle);
        assert!(mean.abs() < 0.06 && (sd - DIFFICULTY_SD).abs() < 0.05, "{mean} {sd}");
        assert_eq!(of("q-7", None), of("q-7", None));
        let step = of("q-7", Some(Level::Apply)).difficulty
            - of("q-7", Some(Level::Understand)).difficulty;
        assert!((step - LEVEL_STEP).abs() < 1e-12, "{step}");
    }

    #[test]
    fn success_lies_between_the_guess_floor_and_certainty() {
        let item = Item { difficulty: 0.5, guess: 0.25 };
        assert!((item.success(0.5) - 0.625).abs() < 1e-12);
        assert!((item.success(-50.0) - 0.25).abs() < 1e-12);
        assert!((item.success(50.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn most_is_learned_where_success_is_likely_but_not_certain() {
        assert!((rise(0.75) - GREATEST_RISE).abs() < 1e-15);
        assert_eq!((rise(0.0), rise(1.0)), (0.0, 0.0));
        for p in 0..=100 {
            let rise = rise(f64::from(p) / 100.0);
            assert!((0.0..=GREATEST_RISE + 1e-15).contains(&rise), "{p} %: {rise}");
        }
    }

    #[test]
    fn half_of_the_thoughts_take_less_than_the_median() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let median = Duration::from_secs(8);
        let draw = |_| draw_think(median, &mut rng).as_secs_f64().ln();
        let logs: Vec<_> = (0..4_000).map(draw).collect();
        let (mean, sd) = mean_and_sd(&logs);
        assert!((mean - median.as_secs_f64().ln()).abs() < 0.03, "{mean}");
        assert!((sd - THINK_SD).abs() < 0.03, "{sd}");
        assert_eq!(draw_think(Duration::ZERO, &mut rng), Duration::ZERO);
    }

    #[test]
    fn abilities_are_standard_normal() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let abilities: Vec<_> = (0..4_000).map(|_| draw_ability(&mut rng)).collect();
        let (mean, sd) = mean_and_sd(&abilities);
        assert!(mean.abs() < 0.05 && (sd - 1.0).abs() < 0.05, "{mean} {sd}");
    }
}
