//! The Bloom engine: the cognitive level of questions and learning objectives by a small
//! transformer encoder held in RAM, the craft of questions by rules, and embeddings for search.
//!
//! [`Engine::load`] reads an artifact (configuration, tokenizer, weights). [`Engine::analyze`]
//! gives a [`Classification`] and an embedding; [`Engine::validate`] adds the item-writing rules;
//! [`evaluate::bloom`] measures a model on labelled rows.
//!
//! Everything here is CPU work and blocks: an asynchronous caller hands it to a blocking thread.

mod artifact;
mod classification;
mod encoder;
mod engine;
mod error;
pub mod evaluate;
mod gelu;
mod heads;
mod language;
mod rules;
mod screen;
mod tokens;
mod validation;
mod words;
mod workers;

pub use classification::{Classification, Language, Probabilities, Reason, Verdict};
pub use engine::{Analysis, Engine};
pub use error::Error;
pub use language::detect as detect_language;
pub use validation::{Agreement, Finding, LevelCheck, Rule, Severity, Validation};
