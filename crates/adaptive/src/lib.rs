//! The adaptive engine: what a learner can do, what to ask next, and why.
//!
//! No input or output, no clock, no hidden randomness: times come in as timestamps, random numbers
//! from the caller's generator.
//!
//! - [`Catalog`] is the index of the items that may be asked, [`Model`] the read-only snapshot of
//!   what is known of items and skills, [`Engine`] the two together: it predicts, selects
//!   ([`select`]) and reports mastery ([`mastery()`]).
//! - [`Learner`] is the state of one learner. [`Learner::observe`] takes an answer in with a frozen
//!   model, on the path of a request; [`Fold`] replays the log of answers and learns the next model
//!   in the background.
//! - [`calibration`] tells authors how an item does, [`flow`] fits a session's challenge to the
//!   learner, [`paths`] orders skills by their prerequisites, [`plan`] divides the days before an
//!   exam, [`policy`] compares ways of choosing from the log.
//! - [`review`] schedules reviews by FSRS-6, [`cat`] is the adaptive test on its own, and
//!   [`evaluate`] measures both on files.
//!
//! The probability of a right answer is
//!
//! ```text
//! p = c + (1 − c) · σ( w·x ),   x ∋ z = a_i (θ_u + mean_k θ_uk − b_i − mean_k b_k)
//! ```
//!
//! with the guess floor c, Gaussian beliefs over the learner's abilities θ, the difficulties b and
//! log a (a hierarchical two-parameter logistic model, learned by assumed-density filtering), and
//! an online logistic regression w on z and on features of the learner's history.

pub mod calibration;
pub mod cat;
pub mod catalog;
mod engine;
mod error;
pub mod evaluate;
mod features;
pub mod flow;
mod fold;
mod gaussian;
mod keys;
mod learner;
pub mod mastery;
mod model;
pub mod paths;
pub mod plan;
pub mod policy;
pub mod review;
pub mod select;
mod statistics;

pub use catalog::{Catalog, Entry, Item, Neighbour};
pub use engine::Engine;
pub use error::Error;
pub use fold::Fold;
pub use gaussian::Gaussian;
pub use keys::{ItemKey, SkillKey};
pub use learner::{Learner, Outcome};
pub use mastery::{Mastery, mastery};
pub use model::{Model, Prediction};
pub use select::{Request, Selection, Why};
pub use statistics::{Snapshot, Statistics};
