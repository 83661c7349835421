//! The program as its users and its service manager meet it: a process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod architecture;
mod config;
mod crash;
mod deadlines;
mod erasure;
mod failures;
mod flags;
mod help;
mod http;
mod learner;
mod learning;
mod lifecycle;
mod postgres;
mod process;
mod redis;
mod roles;
mod simulate;
mod stores;
mod traces;
