//! The Bloom engine: the cognitive level of questions and learning objectives by two small
//! networks held in RAM, the craft of questions by rules, and embeddings for search.
//!
//! [`Engine::load`] maps an artifact (configuration, tokenizer, weights). [`Engine::classify`]
//! gives a [`Classification`] of each text, [`Engine::explain`] the words that moved it,
//! [`Engine::embed`] vectors; [`Engine::validate`] adds the item-writing rules; [`evaluate::bloom`]
//! measures a model on labelled rows.
//!
//! Everything here is CPU work and blocks: an asynchronous caller hands it to a blocking thread.

mod artifact;
mod cache;
mod cascade;
mod classification;
mod encoder;
mod engine;
mod error;
pub mod evaluate;
mod explanation;
mod kernel;
mod language;
mod linear;
mod numbers;
mod phrases;
mod rules;
mod screen;
mod student;
mod tokens;
mod validation;
mod words;

pub use classification::{Classification, Language, Probabilities, Reason, Verdict};
pub use encoder::Arithmetic;
pub use engine::{Analysis, Engine};
pub use error::Error;
pub use explanation::{Explanation, Influence};
pub use language::detect as detect_language;
pub use validation::{Agreement, Finding, LevelCheck, Rule, Severity, Validation};
