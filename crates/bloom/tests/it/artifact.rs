//! Artifacts that are not sound are refused with the file and the reason.

use std::fs;

use quizmentor_bloom::Engine;
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::tiny::{HIDDEN, TinyModel};

/// The error that loading a changed model gives.
fn refused(change: impl FnOnce(&mut TinyModel)) -> String {
    let dir = TempDir::new().unwrap();
    let mut model = TinyModel::new(7);
    change(&mut model);
    model.write(dir.path());
    Engine::load(dir.path()).unwrap_err().to_string()
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let error = refused(|model| model.remove("heads.bias"));
    assert!(error.ends_with("model.safetensors: tensor heads.bias is missing"), "{error}");
    let error = refused(|model| model.remove("student/route.scale"));
    assert!(error.ends_with("student.safetensors: tensor route.scale is missing"), "{error}");
    let error = refused(|model| model.reshape("layers.1.up.bias", &[3]));
    assert!(error.contains("tensor layers.1.up.bias is (F32, [3]), not (F32, [24])"), "{error}");
    let error = refused(TinyModel::reverse_phrases);
    assert!(
        error.ends_with("student.safetensors: tensor phrases.keys is not ascending"),
        "{error}"
    );
    let error = refused(|model| model.reshape_to("student/phrases.scale", &[12], f32::MAX));
    assert!(error.contains("tensor phrases.scale makes weights that are not finite"), "{error}");
    let error = refused(|model| model.remove("student/phrases.keys"));
    assert!(error.contains("tensor phrases.keys is missing"), "{error}");
    let error = refused(|model| model.reshape("layers.0.down.weight", &[HIDDEN, 24]));
    assert!(error.contains("layers.0.down.weight is (F32, [16, 24]), not (U8,"), "{error}");
}

#[test]
fn configurations_that_do_not_fit_are_explained() {
    for (key, value, expected) in [
        ("format", json!(1), "reads format 3"),
        ("levels", json!(["create"]), "six of the taxonomy"),
        ("threshold", json!(1.5), "threshold 1.5"),
        ("heads", json!([]), "must not be 0"),
        ("heads", json!(["general", "exam"]), "tensor route.weight is"),
        ("phrases", json!({"heads": ["exam", "other"], "longest": 2}), "must be heads"),
        ("phrases", json!({"heads": ["exam", "exam"], "longest": 2}), "each once"),
        ("phrases", json!({"heads": ["exam"], "longest": 0}), "must not be 0"),
        ("abstain", json!(-1), "abstain -1"),
        ("stop", json!("never"), "config.json"),
        ("calibration", json!({"scale": [1.0], "bias": [0.0]}), "config.json"),
        ("version", json!(3), "config.json"),
    ] {
        let error = refused(|model| model.config[key] = value);
        assert!(error.contains(expected), "{key}: {error}");
    }
    let error = refused(|model| model.config["student"]["width"] = json!(2));
    assert!(error.contains("must be odd"), "{error}");
    for (key, value, expected) in [
        ("attention_heads", json!(3), "no multiple"),
        ("max_tokens", json!(2), "at least 3"),
        ("activation", json!("relu"), "only gelu_erf"),
        ("vocabulary", json!(19), "ids beyond the 19"),
    ] {
        let error = refused(|model| model.config["encoder"][key] = value);
        assert!(error.contains(expected), "{key}: {error}");
    }
}

#[test]
fn missing_and_broken_files_are_named() {
    for file in [
        "config.json",
        "tokenizer.json",
        "student.safetensors",
        "model.safetensors",
        "words.safetensors",
    ] {
        let dir = TempDir::new().unwrap();
        TinyModel::new(7).write(dir.path());
        fs::write(dir.path().join(file), "{").unwrap();
        let error = Engine::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
        fs::remove_file(dir.path().join(file)).unwrap();
        let error = Engine::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
    }
}

#[test]
fn sums_must_describe_the_files() {
    let dir = TempDir::new().unwrap();
    TinyModel::new(7).write(dir.path());
    let line = |file: &str| {
        let digest = Sha256::digest(fs::read(dir.path().join(file)).unwrap());
        let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{sum}  {file}\n")
    };
    let files = [
        "config.json",
        "tokenizer.json",
        "student.safetensors",
        "model.safetensors",
        "words.safetensors",
    ];
    let sums = files.map(line).concat();
    let path = dir.path().join("SHA256SUMS");
    fs::write(&path, &sums).unwrap();
    assert_eq!(Engine::load(dir.path()).unwrap().version(), "tiny-1");

    TinyModel::new(8).write(dir.path());
    let error = Engine::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("student.safetensors: is not the file that SHA256SUMS"), "{error}");
}
