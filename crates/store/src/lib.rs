//! Where QuizMentor keeps things: three ports and their adapters.
//!
//! - [`records`]: the truth, that is questions, accounts, sessions, answers, learner states,
//!   snapshots of the adaptive model and the outbox;
//! - [`cache`]: what may be lost at any time, and rate limits;
//! - [`vectors`]: embeddings of the question bank.
//!
//! Ports are object-safe: the rest of the system holds `Arc<dyn Records>` and so on.

pub mod cache;
mod error;
pub mod records;
pub mod vectors;

pub use error::{Error, Result};
