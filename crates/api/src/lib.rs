//! The HTTP API: routes by resource, authentication, and the use cases behind them.
//!
//! [`App`] holds the engines and the stores; [`router`] mounts the routes of the wanted
//! [`Part`]s; the methods of [`App`] that never return do the work that no request waits for.

mod auth;
mod bank;
mod compute;
mod deliver;
mod extract;
mod hot;
mod jobs;
mod limiter;
mod live;
mod practice;
mod privacy;
mod problem;
mod routes;
mod upkeep;
mod webhook;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bank::Bank;
use quizmentor_core::Clock;
use quizmentor_store::{cache::Cache, records::Records, vectors::Vectors};

pub use auth::{
    AUTHOR_TOKEN_LIFE, Identity, LEARNER_TOKEN_LIFE, LINK_LIFE, LocalIdentity, TokenError,
    link_hash, new_link_code,
};
pub use compute::Compute;
pub use deliver::{Consumer, Delivery};
pub use hot::forget_state;
pub use privacy::export;
pub use problem::{FieldError, Problem};
pub use routes::{Part, openapi, router};
pub use upkeep::{Components, StarterError, import_starter, invite};
pub use webhook::Webhook;

/// Everything that the routes need.
pub struct App {
    /// The durable truth.
    pub records: Arc<dyn Records>,
    /// What may vanish.
    pub cache: Arc<dyn Cache>,
    /// Embeddings of the bank.
    pub vectors: Arc<dyn Vectors>,
    /// The Bloom engine behind a bounded queue.
    pub compute: Compute,
    /// Signs tokens.
    pub issuer: LocalIdentity,
    /// Verifies tokens.
    pub identity: Arc<dyn Identity>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    hot: hot::Hot,
    live: live::Live,
    bank: ArcSwap<Bank>,
    bank_writer: tokio::sync::Mutex<()>,
    bank_changed: tokio::sync::Notify,
}
