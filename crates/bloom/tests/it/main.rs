//! Integration tests of the Bloom engine: on a random tiny model against plain mathematics, and
//! on the model that is in the repository.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod artifact;
mod engine;
mod evaluate;
mod model;
mod tiny;
mod validate;

use quizmentor_bloom::Engine;
use tempfile::TempDir;
use tiny::TinyModel;

/// A tiny model, loaded; the directory may go once it is.
fn tiny_engine() -> Engine {
    let dir = TempDir::new().unwrap();
    TinyModel::new(7).write(dir.path());
    Engine::load(dir.path()).unwrap()
}
