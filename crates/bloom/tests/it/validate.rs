//! Validation of whole questions on a tiny model.

use quizmentor_bloom::{Agreement, Rule, Severity};
use quizmentor_core::{Body, Level, Question};
use serde_json::json;

use crate::tiny_engine;

fn question(stem: &str, level: Option<Level>) -> Question {
    serde_json::from_value(json!({
        "id": "q-1", "skill": "geography/capitals", "subject_name": "Geography",
        "skill_name": "Capitals", "stem": stem, "level": level, "explanation": "It is.",
        "body": {"kind": "single_choice", "options": [
            {"text": "Paris", "credit": 1.0}, {"text": "Lyon"}, {"text": "Nice"},
        ]},
    }))
    .unwrap()
}

#[test]
fn the_stated_level_is_compared_with_the_text() {
    let engine = tiny_engine();
    let stem = "What is the capital of France?";
    let classification = engine.classify(&[stem]).remove(0);
    let check = |level| engine.validate(&question(stem, level)).level;

    let unstated = check(None);
    assert_eq!((unstated.agreement, unstated.predicted), (Agreement::Unstated, classification.top));
    assert_eq!(unstated.confidence, classification.probabilities.get(classification.top));
    for level in Level::ALL {
        let found = check(Some(level));
        let distance = level.index().abs_diff(classification.top.index());
        let expected = match distance {
            _ if classification.levels.contains(&level) => Agreement::Agrees,
            1 => Agreement::Near,
            _ => Agreement::Differs,
        };
        assert_eq!(found.agreement, expected, "{level}");
        assert_eq!(found.confidence, classification.probabilities.get(level));
    }
}

#[test]
fn short_stems_are_read_with_their_options() {
    let engine = tiny_engine();
    let validation = engine.validate(&question("Which is it?", None));
    let expected = engine.classify(&["Which is it?\nParis\nLyon\nNice"]).remove(0);
    assert_eq!(validation.classification, expected);
}

#[test]
fn the_gravest_findings_come_first() {
    let engine = tiny_engine();
    let mut flawed = question("Which of these is not the capital?", Some(Level::Apply));
    flawed.explanation.clear();
    if let Body::SingleChoice { options } = &mut flawed.body {
        options[2].text = "Lyon".into();
    }
    let findings = engine.validate(&flawed).findings;
    let rules: Vec<Rule> = findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules[..2], [Rule::DuplicateOptions, Rule::NegativeStem]);
    assert!(rules.contains(&Rule::NoExplanation));
    assert!(findings.is_sorted_by_key(|finding| std::cmp::Reverse(finding.severity)));
    assert_eq!(findings[0].severity, Severity::Error);
}

#[test]
fn texts_beyond_the_engine_are_said_to_be() {
    let engine = tiny_engine();
    let found = |stem: &str| {
        let validation = engine.validate(&question(stem, Some(Level::Create)));
        let rules: Vec<Rule> = validation.findings.iter().map(|finding| finding.rule).collect();
        (validation.level.agreement, rules)
    };
    let (agreement, rules) = found("日本の首都はどこにあるかを説明してください");
    assert_eq!((agreement, rules.contains(&Rule::OtherLanguage)), (Agreement::Unknown, true));
    let (agreement, rules) = found("\u{1}\u{2}\u{3} \u{4} \u{5} \u{6}");
    assert_eq!((agreement, rules.contains(&Rule::NotAQuestion)), (Agreement::Unknown, true));
}
