//! The HTTP API as its clients meet it: whole requests to an app in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod answers;
mod arbitrary_input;
mod bad_input;
mod bad_requests;
mod bank;
mod bloom;
mod concurrency;
mod delivery;
mod description;
mod exchange;
mod learners;
mod learning;
mod live;
mod lossy;
mod measuring;
mod modes;
mod privacy;
mod roles;
mod search;
mod sitting;
