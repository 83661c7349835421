//! Scoring of responses.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AcceptedText, Body, Choice, Pair, Question, limits};

/// What a learner answered. Positions count from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = r#"expected one of {"option": 0}, {"options": [0, 2]}, {"truth": true}, {"text": "…"}, {"number": 4.5}, {"answers": [1, 0]}"#
)]
pub enum Response {
    /// To a single choice.
    Option {
        /// Position of the option.
        option: u8,
    },
    /// To a multiple choice.
    Options {
        /// Positions of the chosen options; may be empty.
        options: Vec<u8>,
    },
    /// To a statement.
    Truth {
        /// Whether the learner holds it to be true.
        truth: bool,
    },
    /// To a short-answer question or an essay.
    Text {
        /// What was written.
        text: String,
    },
    /// To a numerical question.
    Number {
        /// Finite.
        number: f64,
    },
    /// To a matching question.
    Matches {
        /// For each prompt in order, the position of an answer.
        answers: Vec<u8>,
    },
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Score {
    /// Share of the full credit, 0 to 1.
    pub credit: f64,
    /// Whether the credit is full.
    pub correct: bool,
    /// Feedback on what was chosen; may be empty.
    pub feedback: String,
}

/// Why a response cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// The response is of another kind than the question.
    #[error("this question expects {0}")]
    WrongKind(&'static str),
    /// A position that the question does not have.
    #[error("the question was not shown with that position")]
    NoSuchPosition,
    /// The same option twice.
    #[error("an option is chosen twice")]
    Repeated,
    /// Another number of matches than prompts.
    #[error("{given} answers for {expected} prompts")]
    WrongCount {
        /// How many came.
        given: usize,
        /// How many prompts there are.
        expected: usize,
    },
    /// Not a finite number.
    #[error("the number must be finite")]
    NotFinite,
    /// Longer than [`limits::RESPONSE`].
    #[error("the answer is {0} bytes long; at most {max} are allowed", max = limits::RESPONSE)]
    TooLong(usize),
}

impl Question {
    /// Scores `response`, whose positions are in the author's order.
    ///
    /// # Errors
    /// When the response does not fit the question; an essay is scored by people only.
    pub fn score(&self, response: &Response) -> Result<Score, ResponseError> {
        match (&self.body, response) {
            (Body::SingleChoice { options }, Response::Option { option }) => {
                let chosen =
                    options.get(usize::from(*option)).ok_or(ResponseError::NoSuchPosition)?;
                Ok(Score::new(chosen.credit, chosen.feedback.clone()))
            }
            (Body::MultipleChoice { options }, Response::Options { options: chosen }) => {
                score_options(options, chosen)
            }
            (
                Body::TrueFalse { key, feedback_right, feedback_wrong },
                Response::Truth { truth },
            ) => {
                let (credit, feedback) =
                    if key == truth { (1.0, feedback_right) } else { (0.0, feedback_wrong) };
                Ok(Score::new(credit, feedback.clone()))
            }
            (Body::ShortAnswer { accepted }, Response::Text { text }) => score_text(accepted, text),
            (Body::Numerical { accepted }, Response::Number { number }) => {
                if !number.is_finite() {
                    return Err(ResponseError::NotFinite);
                }
                let best = accepted
                    .iter()
                    .filter(|a| (a.min..=a.max).contains(number))
                    .max_by(|a, b| a.credit.total_cmp(&b.credit));
                Ok(best.map_or(Score::none(), |a| Score::new(a.credit, a.feedback.clone())))
            }
            (Body::Matching { pairs }, Response::Matches { answers }) => {
                score_matches(pairs, answers)
            }
            (body, _) => Err(ResponseError::WrongKind(body.expected_response())),
        }
    }

    /// Which options are keys, in the author's order; of a statement, first true, then false.
    /// Other questions have none.
    #[must_use]
    pub fn keys(&self) -> Vec<bool> {
        match &self.body {
            Body::SingleChoice { options } => options.iter().map(|o| o.credit == 1.0).collect(),
            Body::MultipleChoice { options } => options.iter().map(|o| o.credit > 0.0).collect(),
            Body::TrueFalse { key, .. } => vec![*key, !*key],
            _ => Vec::new(),
        }
    }

    /// The key in words, for showing after the answer.
    #[must_use]
    pub fn key_text(&self) -> Vec<String> {
        match &self.body {
            Body::SingleChoice { options } => texts_where(options, |o| o.credit == 1.0),
            Body::MultipleChoice { options } => texts_where(options, |o| o.credit > 0.0),
            Body::TrueFalse { key, .. } => vec![if *key { "True" } else { "False" }.to_owned()],
            Body::ShortAnswer { accepted } => accepted
                .iter()
                .find(|a| a.credit == 1.0)
                .map(|a| a.text.clone())
                .into_iter()
                .collect(),
            Body::Numerical { accepted } => accepted
                .iter()
                .find(|a| a.credit == 1.0)
                .map(
                    |a| if a.min == a.max { a.min.to_string() } else { number_range(a.min, a.max) },
                )
                .into_iter()
                .collect(),
            Body::Matching { pairs } => pairs
                .iter()
                .filter(|p| !p.prompt.is_empty())
                .map(|p| format!("{} → {}", p.prompt, p.answer))
                .collect(),
            Body::Essay => vec![],
        }
    }
}

fn number_range(min: f64, max: f64) -> String {
    format!("{min} to {max}")
}

fn texts_where(options: &[Choice], wanted: impl Fn(&Choice) -> bool) -> Vec<String> {
    options.iter().filter(|o| wanted(o)).map(|o| o.text.clone()).collect()
}

impl Body {
    fn expected_response(&self) -> &'static str {
        match self {
            Self::SingleChoice { .. } => r#"one option, such as {"option": 0}"#,
            Self::MultipleChoice { .. } => r#"options, such as {"options": [0, 2]}"#,
            Self::TrueFalse { .. } => r#"a judgement, such as {"truth": true}"#,
            Self::ShortAnswer { .. } => r#"a text, such as {"text": "Paris"}"#,
            Self::Numerical { .. } => r#"a number, such as {"number": 4.5}"#,
            Self::Matching { .. } => r#"an answer for each prompt, such as {"answers": [1, 0, 2]}"#,
            Self::Essay => "a reader; essays are not scored by the machine",
        }
    }
}

impl Score {
    /// Credits within 1 % of full count as full: three thirds written as percentages do not
    /// quite add up.
    fn new(credit: f64, feedback: String) -> Self {
        let credit = if credit > 0.99 { 1.0 } else { credit.max(0.0) };
        Self { credit, correct: credit == 1.0, feedback }
    }

    fn none() -> Self {
        Self::new(0.0, String::new())
    }
}

fn score_options(options: &[Choice], chosen: &[u8]) -> Result<Score, ResponseError> {
    let mut credit = 0.0;
    let mut feedback = Vec::new();
    for (i, position) in chosen.iter().enumerate() {
        if chosen[..i].contains(position) {
            return Err(ResponseError::Repeated);
        }
        let option = options.get(usize::from(*position)).ok_or(ResponseError::NoSuchPosition)?;
        credit += option.credit;
        if !option.feedback.is_empty() {
            feedback.push(option.feedback.as_str());
        }
    }
    Ok(Score::new(credit, feedback.join("\n")))
}

fn score_text(accepted: &[AcceptedText], text: &str) -> Result<Score, ResponseError> {
    if text.len() > limits::RESPONSE {
        return Err(ResponseError::TooLong(text.len()));
    }
    let given = normalised(text);
    let hit = accepted.iter().find(|a| matches_pattern(&normalised(&a.text), &given));
    Ok(hit.map_or(Score::none(), |a| Score::new(a.credit, a.feedback.clone())))
}

fn score_matches(pairs: &[Pair], answers: &[u8]) -> Result<Score, ResponseError> {
    let prompts: Vec<_> = pairs.iter().filter(|p| !p.prompt.is_empty()).collect();
    if answers.len() != prompts.len() {
        return Err(ResponseError::WrongCount { given: answers.len(), expected: prompts.len() });
    }
    let mut right = 0;
    for (prompt, position) in prompts.iter().zip(answers) {
        let given = pairs.get(usize::from(*position)).ok_or(ResponseError::NoSuchPosition)?;
        right += usize::from(given.answer == prompt.answer);
    }
    Ok(Score::new(right as f64 / prompts.len().max(1) as f64, String::new()))
}

/// Lower case, one space between words, none around.
fn normalised(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `text` fits `pattern`, in which `*` stands for any run of characters and `\*` for
/// an asterisk.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    const ASTERISK: char = '\u{1}';
    let pattern = pattern.replace("\\*", "\u{1}");
    let mut parts = pattern.split('*').map(|part| part.replace(ASTERISK, "*"));
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        AcceptedNumber,
        question::tests::{choice, question},
    };

    fn accepted(text: &str) -> AcceptedText {
        AcceptedText { text: text.into(), credit: 1.0, feedback: String::new() }
    }

    fn text(text: &str) -> Response {
        Response::Text { text: text.into() }
    }

    #[test]
    fn multiple_choice_adds_credits_and_never_goes_below_zero() {
        let third = 1.0 / 3.0;
        let options =
            vec![choice("a", 0.3333), choice("b", third), choice("c", 0.3333), choice("d", -1.0)];
        let question = question(Body::MultipleChoice { options });
        let score = |chosen: &[u8]| question.score(&Response::Options { options: chosen.into() });
        assert!(score(&[0, 1, 2]).unwrap().correct);
        assert_eq!(score(&[0, 3]).unwrap().credit, 0.0);
        assert_eq!(score(&[]).unwrap().credit, 0.0);
        assert_eq!(score(&[0, 0]), Err(ResponseError::Repeated));
        assert_eq!(score(&[4]), Err(ResponseError::NoSuchPosition));
    }

    #[test]
    fn short_answers_ignore_case_and_spacing_and_know_wildcards() {
        let question = question(Body::ShortAnswer {
            accepted: vec![accepted("New  York"), accepted("the * apple")],
        });
        assert!(question.score(&text("  new york ")).unwrap().correct);
        assert!(question.score(&text("The big red apple")).unwrap().correct);
        assert!(!question.score(&text("the pear")).unwrap().correct);
    }

    #[test]
    fn wildcards() {
        for (pattern, text, fits) in [
            ("a*", "a", true),
            ("*a", "banana", true),
            ("a*a", "a", false),
            ("*na*na*", "banana", true),
            ("2\\*3", "2*3", true),
            ("2\\*3", "2x3", false),
            ("", "", true),
        ] {
            assert_eq!(matches_pattern(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn numbers_take_the_best_matching_range() {
        let range = |min, max, credit| AcceptedNumber { min, max, credit, feedback: String::new() };
        let question = question(Body::Numerical {
            accepted: vec![range(40.0, 44.0, 0.5), range(41.5, 42.5, 1.0)],
        });
        let credit = |number| question.score(&Response::Number { number }).unwrap().credit;
        assert_eq!((credit(42.0), credit(44.0), credit(45.0)), (1.0, 0.5, 0.0));
        assert!(question.score(&Response::Number { number: f64::NAN }).is_err());
    }

    #[test]
    fn the_wrong_kind_says_what_is_expected() {
        let question = question(Body::TrueFalse {
            key: true,
            feedback_right: String::new(),
            feedback_wrong: "no".into(),
        });
        let error = question.score(&text("yes")).unwrap_err();
        assert!(error.to_string().contains(r#"{"truth": true}"#));
        assert_eq!(question.score(&Response::Truth { truth: false }).unwrap().feedback, "no");
    }

    proptest! {
        #[test]
        fn a_pattern_without_asterisk_fits_itself_alone(pattern in "[a-z ]{0,12}", other in "[a-z ]{0,12}") {
            prop_assert!(matches_pattern(&pattern, &pattern));
            prop_assert_eq!(matches_pattern(&pattern, &other), pattern == other);
        }

        #[test]
        fn scoring_never_panics(text in ".{0,40}", pattern in ".{0,20}") {
            let question = question(Body::ShortAnswer { accepted: vec![accepted(&pattern)] });
            let scored = question.score(&Response::Text { text });
            prop_assert!(scored.is_ok());
        }
    }
}
