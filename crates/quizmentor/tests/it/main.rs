//! The program as its users and its service manager meet it: a process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod architecture;
mod config;
mod crash;
mod help;
mod http;
mod lifecycle;
mod process;
mod roles;
mod simulate;
