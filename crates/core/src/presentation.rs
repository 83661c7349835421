//! How a question is put before a learner: shuffled, and without its key.

use rand::{Rng, seq::SliceRandom};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Body, Level, Question, QuestionId, Response, SkillId, TextFormat};

/// A question as a learner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PresentedQuestion {
    /// Its id.
    pub id: QuestionId,
    /// The skill that it exercises.
    pub skill: SkillId,
    /// Skill as people write it.
    pub skill_name: String,
    /// Bloom level that the author states.
    pub level: Option<Level>,
    /// What is asked.
    pub stem: String,
    /// How the texts are marked up.
    pub format: TextFormat,
    /// What can be answered.
    pub body: PresentedBody,
}

/// What can be answered, by kind of question. Positions in the lists are what a
/// [`Response`] refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PresentedBody {
    /// Choose one.
    SingleChoice {
        /// Option texts.
        options: Vec<String>,
    },
    /// Choose any number.
    MultipleChoice {
        /// Option texts.
        options: Vec<String>,
    },
    /// Judge the statement.
    TrueFalse,
    /// Write a word or phrase.
    ShortAnswer,
    /// Write a number.
    Numerical,
    /// Give each prompt one of the answers.
    Matching {
        /// Left sides.
        prompts: Vec<String>,
        /// Right sides, shuffled, each text once.
        answers: Vec<String>,
    },
    /// Write a text.
    Essay,
}

/// A random order in which to present the options, or the answers of a matching question:
/// presented position → author's position. Empty where nothing is shuffled.
pub fn shuffled_order(body: &Body, rng: &mut impl Rng) -> Vec<u8> {
    let count = match body {
        Body::SingleChoice { options } | Body::MultipleChoice { options } => options.len(),
        Body::Matching { pairs } => pairs.len(),
        Body::TrueFalse { .. }
        | Body::ShortAnswer { .. }
        | Body::Numerical { .. }
        | Body::Essay => 0,
    };
    let mut order: Vec<u8> = (0..count).map(|i| i as u8).collect();
    order.shuffle(rng);
    if let Body::Matching { pairs } = body {
        keep_first_of_equal_answers(&mut order, pairs.len(), |i| pairs[i].answer.as_str());
    }
    order
}

/// Drops positions whose answer text came up before: equal answers are shown once.
fn keep_first_of_equal_answers<'a>(
    order: &mut Vec<u8>,
    count: usize,
    answer: impl Fn(usize) -> &'a str,
) {
    let mut seen = Vec::with_capacity(count);
    order.retain(|&i| {
        let text = answer(usize::from(i));
        let new = !seen.contains(&text);
        seen.push(text);
        new
    });
}

impl Question {
    /// The question without its key, options in `order` (see [`shuffled_order`]). Positions
    /// that the question no longer has are left out.
    #[must_use]
    pub fn present(&self, order: &[u8]) -> PresentedQuestion {
        let texts = |options: &[crate::Choice]| {
            order
                .iter()
                .filter_map(|&i| options.get(usize::from(i)))
                .map(|option| option.text.clone())
                .collect()
        };
        let body = match &self.body {
            Body::SingleChoice { options } => {
                PresentedBody::SingleChoice { options: texts(options) }
            }
            Body::MultipleChoice { options } => {
                PresentedBody::MultipleChoice { options: texts(options) }
            }
            Body::TrueFalse { .. } => PresentedBody::TrueFalse,
            Body::ShortAnswer { .. } => PresentedBody::ShortAnswer,
            Body::Numerical { .. } => PresentedBody::Numerical,
            Body::Matching { pairs } => PresentedBody::Matching {
                prompts: pairs
                    .iter()
                    .filter(|p| !p.prompt.is_empty())
                    .map(|p| p.prompt.clone())
                    .collect(),
                answers: order
                    .iter()
                    .filter_map(|&i| pairs.get(usize::from(i)))
                    .map(|pair| pair.answer.clone())
                    .collect(),
            },
            Body::Essay => PresentedBody::Essay,
        };
        PresentedQuestion {
            id: self.id.clone(),
            skill: self.skill.clone(),
            skill_name: self.skill_name.clone(),
            level: self.level,
            stem: self.stem.clone(),
            format: self.format,
            body,
        }
    }
}

impl Response {
    /// Turns presented positions into the author's, given the presented `order`. Positions
    /// outside it become `u8::MAX`, which scoring refuses.
    #[must_use]
    pub fn in_authors_order(self, order: &[u8]) -> Self {
        let original = |shown: &u8| order.get(usize::from(*shown)).copied().unwrap_or(u8::MAX);
        match self {
            Self::Option { option } => Self::Option { option: original(&option) },
            Self::Options { options } => {
                Self::Options { options: options.iter().map(original).collect() }
            }
            Self::Matches { answers } => {
                Self::Matches { answers: answers.iter().map(original).collect() }
            }
            other @ (Self::Truth { .. } | Self::Text { .. } | Self::Number { .. }) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::{
        Pair,
        question::tests::{choice, question},
    };

    fn pair(prompt: &str, answer: &str) -> Pair {
        Pair { prompt: prompt.into(), answer: answer.into() }
    }

    #[test]
    fn what_is_chosen_as_shown_is_scored_as_written() {
        let options = vec![choice("a", 0.0), choice("b", 1.0), choice("c", 0.0), choice("d", 0.0)];
        let question = question(Body::SingleChoice { options });
        for seed in 0..20 {
            let order = shuffled_order(&question.body, &mut ChaCha8Rng::seed_from_u64(seed));
            let PresentedBody::SingleChoice { options } = question.present(&order).body else {
                panic!("kind changed")
            };
            let shown = options.iter().position(|text| text == "b").unwrap();
            let response = Response::Option { option: shown as u8 }.in_authors_order(&order);
            assert!(question.score(&response).unwrap().correct);
        }
    }

    #[test]
    fn equal_answers_of_a_matching_question_are_shown_once() {
        let pairs = vec![pair("cat", "mammal"), pair("dog", "mammal"), pair("owl", "bird")];
        let question = question(Body::Matching { pairs });
        let order = shuffled_order(&question.body, &mut ChaCha8Rng::seed_from_u64(3));
        let PresentedBody::Matching { prompts, answers } = question.present(&order).body else {
            panic!("kind changed")
        };
        assert_eq!((prompts.len(), answers.len()), (3, 2));
        let at = |text: &str| answers.iter().position(|a| a == text).unwrap() as u8;
        let response = Response::Matches { answers: vec![at("mammal"), at("mammal"), at("bird")] };
        assert!(question.score(&response.in_authors_order(&order)).unwrap().correct);
    }

    #[test]
    fn a_position_not_shown_is_refused() {
        let question =
            question(Body::SingleChoice { options: vec![choice("a", 1.0), choice("b", 0.0)] });
        let response = Response::Option { option: 7 }.in_authors_order(&[1, 0]);
        assert!(question.score(&response).is_err());
    }
}
