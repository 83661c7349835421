//! What tests of several crates share: an app in memory, a client for it, and small sound
//! questions.

#![expect(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a failed test panics")]

mod client;
mod installation;
pub mod questions;

pub use client::{Client, Reply};
pub use installation::Installation;
