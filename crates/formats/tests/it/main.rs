//! Integration tests.

mod constructs;
mod problems;
mod robustness;
mod round_trip;
mod starter;
mod support;
