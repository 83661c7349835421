//! The HTTP API: routes by resource, authentication, and the use cases behind them.
//!
//! [`App`] holds the engines and the stores; [`router`] mounts the routes of the wanted
//! [`Part`]s; the methods of [`App`] that never return do the work that no request waits for.

mod auth;
mod bank;
mod choosing;
mod compute;
mod context;
mod deliver;
mod experiment;
mod extract;
mod hot;
mod jobs;
mod limiter;
mod live;
mod practice;
mod privacy;
mod problem;
mod retention;
mod routes;
mod student;
mod upkeep;
mod webhook;

use std::{ops::Deref, sync::Mutex};

use arc_swap::ArcSwap;
use bank::Bank;
use quizmentor_adaptive::select::Exposure;

pub use auth::{
    AUTHOR_TOKEN_LIFE, Identity, LEARNER_TOKEN_LIFE, LINK_LIFE, LocalIdentity, TokenError,
    link_hash, new_link_code,
};
pub use compute::Compute;
pub use deliver::{Consumer, Delivery};
pub use experiment::{Experiment, ExperimentError};
pub use privacy::{erase, export};
pub use problem::{FieldError, Problem};
pub use routes::{Part, openapi, router};
pub use student::rebuilt_states;
pub use upkeep::{Components, StarterError, import_starter, invite};
pub use webhook::Webhook;

/// Everything that the routes need: the components, and what is kept in RAM.
pub struct App {
    components: Components,
    hot: hot::Hot,
    live: live::Live,
    bank: ArcSwap<Bank>,
    bank_writer: tokio::sync::Mutex<()>,
    bank_changed: tokio::sync::Notify,
    /// Which tests showed which items, those under way included.
    exposure: Mutex<Exposure>,
}

impl Deref for App {
    type Target = Components;

    fn deref(&self) -> &Components {
        &self.components
    }
}
