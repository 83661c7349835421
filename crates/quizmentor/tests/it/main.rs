//! The program as its users and its service manager meet it: a process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod architecture;
mod config;
mod crash;
mod failures;
mod help;
mod http;
mod learner;
mod lifecycle;
mod postgres;
mod process;
mod roles;
mod simulate;
mod stores;
