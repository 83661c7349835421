//! Tests of the adaptive engine through its public interface.

mod bank;
mod evaluate;
mod learner;
mod oracle;
mod select;
