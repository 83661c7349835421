//! Short ways to read GIFT.

use quizmentor_core::{Choice, Question};
use quizmentor_formats::{Defaults, Import, gift};

pub(crate) fn parse(source: &str) -> Import {
    gift::parse(source, &Defaults { subject: "Trivia".into(), skill: "Odds and ends".into() })
}

/// All questions of a file without problems.
pub(crate) fn questions(source: &str) -> Vec<Question> {
    let import = parse(source);
    assert_eq!(import.problems, [], "{source}");
    import.questions
}

/// The question of a file without problems.
pub(crate) fn question(source: &str) -> Question {
    let mut questions = questions(source);
    assert_eq!(questions.len(), 1, "{source}");
    questions.remove(0)
}

pub(crate) fn choice(text: &str, credit: f64, feedback: &str) -> Choice {
    Choice { text: text.into(), credit, feedback: feedback.into() }
}
