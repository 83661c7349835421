//! The model in the repository against outcomes worked out in `f64` from the same files.

use std::{fs, path::Path, sync::LazyLock};

use quizmentor_bloom::{Engine, Verdict};
use quizmentor_core::Level;
use serde::Deserialize;
use sha2::{Digest, Sha256};

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/bloom");

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::load(Path::new(DIR)).expect("the model is in the repository"));

#[derive(Deserialize)]
struct Reference {
    text: String,
    /// The first values of it.
    embedding: Vec<f32>,
    probabilities: [f32; 6],
    truncated: bool,
}

#[test]
fn outcomes_are_the_reference_outcomes() {
    let rows: Vec<Reference> = serde_json::from_str(include_str!("reference.json")).unwrap();
    let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
    for (row, analysis) in rows.iter().zip(ENGINE.analyze(&texts)) {
        let near =
            |left: &[f32], right: &[f32]| left.iter().zip(right).all(|(l, r)| (l - r).abs() < 1e-4);
        let classification = analysis.classification;
        let found = classification.probabilities.to_array();
        assert!(near(&found, &row.probabilities), "{:?}: {found:?}", row.text);
        assert!(near(&row.embedding, &analysis.embedding), "{:?}", row.text);
        assert_eq!(classification.truncated, row.truncated, "{:?}", row.text);
    }
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
    for file in ["config.json", "tokenizer.json", "model.safetensors", "words.safetensors"] {
        let digest = Sha256::digest(fs::read(format!("{DIR}/{file}")).unwrap());
        let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let described = card.lines().any(|line| line.contains(file) && line.contains(&sum));
        assert!(described, "the card does not give {sum} for {file}");
    }
}
