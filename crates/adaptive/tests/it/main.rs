//! Tests of the adaptive engine through its public interface.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod bank;
mod evaluate;
mod learner;
mod oracle;
mod select;
