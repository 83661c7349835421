//! The starter bank: every file is read whole.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};

use quizmentor_core::{Level, Question};

use crate::support::parse;

fn starter_questions() -> Vec<Question> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../starter");
    let mut questions = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "gift") {
            let import = parse(&fs::read_to_string(&path).unwrap());
            assert_eq!(import.problems, [], "{}", path.display());
            questions.extend(import.questions);
        }
    }
    questions
}

#[test]
fn every_subject_has_enough_questions_at_every_level() {
    let questions = starter_questions();
    let mut ids = HashSet::new();
    let mut subjects: BTreeMap<&str, Vec<&Question>> = BTreeMap::new();
    for question in &questions {
        assert!(ids.insert(&question.id), "{} is there twice", question.id);
        assert!(question.is_askable(), "{}", question.id);
        assert!(question.difficulty.is_some(), "{}", question.id);
        assert!(!question.explanation.is_empty(), "{}", question.id);
        assert!(!question.title.is_empty(), "{}", question.id);
        subjects.entry(question.subject()).or_default().push(question);
    }
    assert!(subjects.len() >= 6, "{:?}", subjects.keys());
    assert!(questions.len() >= 300, "{}", questions.len());
    for (subject, questions) in subjects {
        assert!(questions.len() >= 46, "{subject}: {}", questions.len());
        for level in Level::ALL {
            let count = questions.iter().filter(|q| q.level == Some(level)).count();
            assert!(count >= 6, "{subject}: {count} questions to {level}");
        }
    }
}
