//! The contracts of the ports, and what is particular to each adapter.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod flags;
mod server;
