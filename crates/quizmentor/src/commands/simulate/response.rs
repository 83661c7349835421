//! Responses of synthetic learners to every kind of question, right, wrong or guessed. The key is
//! what replies say of it: its texts.

use quizmentor_core::{PresentedBody, Response};
use rand::{Rng, RngExt, seq::IndexedMutRandom};

/// What no author accepts.
const WRONG_TEXT: &str = "I do not know this one";
const WRONG_NUMBER: f64 = -9.876_543_21e12;

/// A response without any knowledge. Where something has to be written, it is wrong.
pub(super) fn guess(body: &PresentedBody, rng: &mut impl Rng) -> Response {
    match body {
        PresentedBody::SingleChoice { options } => {
            Response::Option { option: position(options.len(), rng) }
        }
        PresentedBody::MultipleChoice { options } => Response::Options {
            options: (0..options.len() as u8).filter(|_| rng.random()).collect(),
        },
        PresentedBody::TrueFalse => Response::Truth { truth: rng.random() },
        PresentedBody::Matching { prompts, answers } => Response::Matches {
            answers: prompts.iter().map(|_| position(answers.len(), rng)).collect(),
        },
        PresentedBody::ShortAnswer | PresentedBody::Essay => {
            Response::Text { text: WRONG_TEXT.to_owned() }
        }
        PresentedBody::Numerical => Response::Number { number: WRONG_NUMBER },
    }
}

/// The right response; `None` when the key does not fit what was presented, as after an edit.
pub(super) fn right(body: &PresentedBody, key: &[String]) -> Option<Response> {
    let response = match body {
        PresentedBody::SingleChoice { options } => {
            Response::Option { option: position_of(key.first()?, options)? }
        }
        PresentedBody::MultipleChoice { options } => Response::Options {
            options: key.iter().map(|text| position_of(text, options)).collect::<Option<_>>()?,
        },
        PresentedBody::TrueFalse => Response::Truth { truth: key.first()? == "True" },
        PresentedBody::ShortAnswer => Response::Text { text: fitting(key.first()?) },
        PresentedBody::Numerical => Response::Number { number: accepted(key.first()?)? },
        PresentedBody::Matching { prompts, .. } if prompts.len() != key.len() => return None,
        PresentedBody::Matching { prompts, answers } => Response::Matches {
            answers: prompts
                .iter()
                .zip(key)
                .map(|(prompt, pair)| {
                    position_of(pair.strip_prefix(prompt.as_str())?.strip_prefix(" → ")?, answers)
                })
                .collect::<Option<_>>()?,
        },
        PresentedBody::Essay => return None,
    };
    Some(response)
}

/// A response with one mistake; `None` when the key does not fit or nothing else can be answered.
pub(super) fn wrong(body: &PresentedBody, key: &[String], rng: &mut impl Rng) -> Option<Response> {
    let response = match (body, right(body, key)?) {
        (PresentedBody::SingleChoice { options }, Response::Option { option }) => {
            Response::Option { option: other(option, options.len(), rng)? }
        }
        (_, Response::Options { mut options }) if !options.is_empty() => {
            options.swap_remove(usize::from(position(options.len(), rng)));
            Response::Options { options }
        }
        (_, Response::Truth { truth }) => Response::Truth { truth: !truth },
        (PresentedBody::Matching { answers: shown, .. }, Response::Matches { mut answers }) => {
            let changed = answers.choose_mut(rng)?;
            *changed = other(*changed, shown.len(), rng)?;
            Response::Matches { answers }
        }
        _ => guess(body, rng),
    };
    Some(response)
}

/// Any of `count` positions.
fn position(count: usize, rng: &mut impl Rng) -> u8 {
    rng.random_range(0..count.clamp(1, 256)) as u8
}

/// Any of `count` positions but `taken`.
fn other(taken: u8, count: usize, rng: &mut impl Rng) -> Option<u8> {
    let beyond = rng.random_range(1..count.max(2));
    (count > 1).then(|| ((usize::from(taken) + beyond) % count) as u8)
}

fn position_of(text: &str, texts: &[String]) -> Option<u8> {
    texts.iter().position(|shown| shown == text)?.try_into().ok()
}

/// A text that fits `pattern`, in which `*` stands for any run of characters and `\*` for an
/// asterisk.
fn fitting(pattern: &str) -> String {
    pattern.split("\\*").map(|part| part.replace('*', "")).collect::<Vec<_>>().join("*")
}

/// A number that is accepted, by a key such as “4.5” or “4 to 5”.
fn accepted(key: &str) -> Option<f64> {
    let Some((min, max)) = key.split_once(" to ") else { return key.parse().ok() };
    let (min, max): (f64, f64) = (min.parse().ok()?, max.parse().ok()?);
    Some(f64::midpoint(min, max))
}

#[cfg(test)]
mod tests {
    use quizmentor_core::{
        AcceptedNumber, AcceptedText, Body, Choice, Pair, Question, QuestionId, SkillId, Status,
        TextFormat, presentation::shuffled_order,
    };
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn choice(text: &str, credit: f64) -> Choice {
        Choice { text: text.to_owned(), credit, feedback: String::new() }
    }

    fn pair(prompt: &str, answer: &str) -> Pair {
        Pair { prompt: prompt.to_owned(), answer: answer.to_owned() }
    }

    fn text(text: &str) -> Body {
        let accepted = AcceptedText { text: text.to_owned(), credit: 1.0, feedback: String::new() };
        Body::ShortAnswer { accepted: vec![accepted] }
    }

    fn number(min: f64, max: f64) -> Body {
        let accepted = AcceptedNumber { min, max, credit: 1.0, feedback: String::new() };
        Body::Numerical { accepted: vec![accepted] }
    }

    fn bodies() -> Vec<Body> {
        let thirds = [("a", 0.5), ("b", -1.0), ("c", 0.5), ("d", 0.0)];
        let options = thirds.map(|(text, credit)| choice(text, credit)).to_vec();
        let single = ["a", "b", "c"].map(|text| choice(text, f64::from(text == "b"))).to_vec();
        let key = |key| Body::TrueFalse {
            key,
            feedback_right: String::new(),
            feedback_wrong: String::new(),
        };
        let pairs = vec![pair("cat", "mammal"), pair("dog → wolf", "mammal"), pair("owl", "bird")];
        let with_distractor = [pairs.clone(), vec![pair("", "fish")]].concat();
        vec![
            Body::SingleChoice { options: single },
            Body::MultipleChoice { options },
            key(true),
            key(false),
            text("Paris"),
            text("colo*r 3 \\* 4"),
            number(4.5, 4.5),
            number(-3.0, -1.5),
            Body::Matching { pairs },
            Body::Matching { pairs: with_distractor },
        ]
    }

    fn question(body: Body) -> Question {
        Question {
            id: QuestionId::new("q").unwrap(),
            skill: SkillId::new("a/b").unwrap(),
            subject_name: "A".to_owned(),
            skill_name: "B".to_owned(),
            title: String::new(),
            stem: "?".to_owned(),
            format: TextFormat::Plain,
            body,
            explanation: String::new(),
            level: None,
            difficulty: None,
            tags: vec![],
            status: Status::Published,
        }
    }

    #[test]
    fn every_kind_is_answered_as_meant() {
        for (seed, body) in (0u64..50).flat_map(|seed| bodies().into_iter().map(move |b| (seed, b)))
        {
            let question = question(body);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let order = shuffled_order(&question.body, &mut rng);
            let (shown, key) = (question.present(&order).body, question.key_text());
            let score = |response: Response| {
                question.score(&response.clone().in_authors_order(&order)).map_or_else(
                    |error| panic!("{response:?} to {shown:?}: {error}"),
                    |score| score.correct,
                )
            };
            assert!(score(right(&shown, &key).unwrap()), "{shown:?}");
            assert!(!score(wrong(&shown, &key, &mut rng).unwrap()), "{shown:?}");
            score(guess(&shown, &mut rng));
        }
    }

    #[test]
    fn a_key_that_does_not_fit_gives_nothing() {
        let options = vec!["a".to_owned(), "b".to_owned()];
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for body in [
            PresentedBody::SingleChoice { options: options.clone() },
            PresentedBody::MultipleChoice { options: options.clone() },
            PresentedBody::Numerical,
            PresentedBody::Matching { prompts: options.clone(), answers: options },
            PresentedBody::Essay,
        ] {
            let key = ["gone".to_owned()];
            assert_eq!(right(&body, &key), None);
            assert_eq!(wrong(&body, &key, &mut rng), None);
            guess(&body, &mut rng);
        }
    }
}
