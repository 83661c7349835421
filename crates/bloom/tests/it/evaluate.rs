//! Evaluation of labelled rows on a tiny model.

use std::io::Cursor;

use quizmentor_bloom::{
    Error,
    evaluate::{DecisionRule, Report, bloom},
};

use crate::tiny_engine;

fn evaluated(rows: &str) -> Result<Report, Error> {
    bloom(&tiny_engine(), Cursor::new(rows), |_| {})
}

#[test]
fn measures_fit_what_the_engine_says() {
    let engine = tiny_engine();
    let text = "What is the capital of France?";
    let classification = engine.classify(&[text]).remove(0);
    let (top, levels) = (classification.top.name(), &classification.levels);
    let wrong = if top == "apply" { "create" } else { "apply" };
    let rows = format!(
        "{{\"text\": \"{text}\", \"labels\": [\"{top}\"], \"source\": \"exam\"}}\n\n\
         {{\"text\": \"{text}\", \"labels\": [\"{wrong}\"], \"source\": \"exam\"}}\n\
         {{\"text\": \"{text}\", \"labels\": {}, \"source\": \"mixed\"}}\n\
         {{\"text\": \"{text}\", \"labels\": [\"remember\", \"create\"], \"source\": \"mixed\"}}\n",
        serde_json::to_string(levels).unwrap(),
    );
    let mut seen = vec![];
    let report = bloom(&engine, Cursor::new(rows), |done| seen.push(done)).unwrap();
    assert_eq!((report.model.as_str(), seen.as_slice()), ("tiny-1", [4].as_slice()));
    assert!(report.questions_per_second > 0.0);
    assert!((0.0..=1.0).contains(&report.answered_by_student));
    let exam = &report.sources["exam"];
    assert_eq!(
        (exam.n, exam.rule, exam.exact_match, exam.top1),
        (2, DecisionRule::Argmax, 0.5, 0.5)
    );
    let mixed = &report.sources["mixed"];
    assert_eq!((mixed.n, mixed.rule), (2, DecisionRule::Threshold));
    assert!(mixed.exact_match >= 0.5);
    assert_eq!((report.overall.n, report.overall.rule), (4, DecisionRule::BySource));

    let json = serde_json::to_value(&report).unwrap();
    for key in ["n", "exact_match", "top1", "macro_f1", "per_level_f1", "kappa", "ece"] {
        assert!(
            !json["overall"][key].is_null() && !json["sources"]["exam"][key].is_null(),
            "{key}"
        );
    }
    assert_eq!(json["overall"]["per_level_f1"].as_array().unwrap().len(), 6);
}

#[test]
fn malformed_rows_are_named_by_line() {
    let sound = r#"{"text": "Why?", "labels": ["apply"], "source": "a"}"#;
    for (bad, expected) in [
        ("{", "line 3: EOF"),
        (r#"{"text": "x", "labels": [], "source": "a"}"#, "line 3: labels must not be empty"),
        (r#"{"text": "x", "labels": ["aply"], "source": "a"}"#, "line 3: unknown variant `aply`"),
        (r#"{"text": "x", "source": "a"}"#, "line 3: missing field `labels`"),
    ] {
        let error = evaluated(&format!("{sound}\n\n{bad}\n{sound}")).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let error = bloom(&tiny_engine(), Cursor::new(b"\xff\xfe\n"), |_| {}).unwrap_err();
    assert!(error.to_string().starts_with("line 1: "), "{error}");
    assert!(matches!(evaluated("\n"), Err(Error::NoRows)));
}
