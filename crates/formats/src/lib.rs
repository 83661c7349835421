//! Question files: parsing and printing, without input or output.
//!
//! Each format is a module with the same two functions: `parse(source, defaults) -> Import`, which
//! reads what it can and names a place for everything it cannot, and
//! `print(questions) -> String`.

pub mod gift;
mod import;

pub use import::{Defaults, Import, MAX_PROBLEMS, MAX_QUESTIONS, Problem, derived_id};
