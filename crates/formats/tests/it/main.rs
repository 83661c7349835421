//! GIFT as authors write it: every construct, every slip, and what no author would write.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod constructs;
mod problems;
mod robustness;
mod round_trip;
mod starter;
mod support;
