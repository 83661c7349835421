//! The model in the repository against outcomes worked out in `f64` from the same files.

use std::{fs, path::Path, sync::LazyLock};

use quizmentor_bloom::{Arithmetic, Engine, Verdict};
use quizmentor_core::Level;
use serde::Deserialize;
use sha2::{Digest, Sha256};

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/bloom");

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::load(Path::new(DIR)).expect("the model is in the repository"));

static FLOAT: LazyLock<Engine> = LazyLock::new(|| {
    Engine::load_with(Path::new(DIR), Arithmetic::Float).expect("the model is in the repository")
});

#[derive(Deserialize)]
struct Reference {
    text: String,
    /// The first values of it.
    embedding: Vec<f32>,
    stage: String,
    probabilities: [f32; 6],
    truncated: bool,
}

#[test]
fn outcomes_are_the_reference_outcomes() {
    let rows: Vec<Reference> =
        serde_json::from_str(include_str!("../../../../models/training/reference.json")).unwrap();
    let by = |stage: &str| rows.iter().filter(|row| row.stage == stage).count();
    assert!(by("student") > 2 && by("encoder") > 2, "both stages are tried");
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    for (row, analysis) in rows.iter().zip(FLOAT.analyze(&texts)) {
        let near =
            |left: &[f32], right: &[f32]| left.iter().zip(right).all(|(l, r)| (l - r).abs() < 1e-4);
        let classification = analysis.classification;
        let found = classification.probabilities.to_array();
        assert!(near(&found, &row.probabilities), "{:?}: {found:?}", row.text);
        assert!(near(&row.embedding, &analysis.embedding), "{:?}", row.text);
        assert_eq!(classification.truncated, row.truncated, "{:?}", row.text);
    }
}

/// The questions of the starter bank, as far as a line holds one.
fn questions() -> Vec<String> {
    let starter = concat!(env!("CARGO_MANIFEST_DIR"), "/../../starter");
    fs::read_dir(starter)
        .unwrap()
        .flat_map(|file| {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let stems = text.lines().filter_map(|line| {
                let (_, stem) = line.strip_prefix("::")?.split_once("::")?;
                Some(stem.trim_end_matches(['{', ' ']).replace('\\', ""))
            });
            stems.collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn bytes_are_as_good_as_floats() {
    let questions = questions();
    assert!(questions.len() > 300, "{}", questions.len());
    let texts: Vec<&str> = questions.iter().step_by(6).map(String::as_str).collect();
    let (mut sum, mut worst, mut other_top) = (0.0, 0.0_f32, 0);
    for (fast, exact) in ENGINE.classify(&texts).iter().zip(FLOAT.classify(&texts)) {
        for (p, q) in fast.probabilities.to_array().iter().zip(exact.probabilities.to_array()) {
            sum += (p - q).abs();
            worst = worst.max((p - q).abs());
        }
        other_top += usize::from(fast.top != exact.top);
    }
    let mean = sum / (6 * texts.len()) as f32;
    println!("mean {mean}, worst {worst}, other top level {other_top} of {}", texts.len());
    assert!(mean < 0.01 && worst < 0.25, "mean {mean}, worst {worst}");
    assert!(other_top * 100 <= 2 * texts.len(), "{other_top} of {}", texts.len());
}

#[test]
fn plain_cases_get_their_level() {
    for (text, level) in [
        ("List the planets of the solar system.", Level::Remember),
        ("Explain in your own words why the sky is blue.", Level::Understand),
        ("Calculate the current through a 12 Ω resistor at 6 V.", Level::Apply),
        ("Design an experiment that tests whether light speeds up germination.", Level::Create),
    ] {
        let classification = ENGINE.classify(&[text]).remove(0);
        assert!(classification.levels.contains(&level), "{text}: {classification:?}");
        assert!(matches!(classification.verdict, Verdict::Question | Verdict::Objective));
    }
}

#[test]
fn files_are_those_that_the_card_describes() {
    let card = fs::read_to_string(format!("{DIR}/CARD.md")).unwrap();
    for file in [
        "config.json",
        "tokenizer.json",
        "student.safetensors",
        "model.safetensors",
        "words.safetensors",
    ] {
        let digest = Sha256::digest(fs::read(format!("{DIR}/{file}")).unwrap());
        let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let described = card.lines().any(|line| line.contains(file) && line.contains(&sum));
        assert!(described, "the card does not give {sum} for {file}");
    }
}
