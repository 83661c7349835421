//! Adaptive tests of simulated examinees.

use crate::Error;
/// Report.
pub struct CatReport {}
/// todo
pub fn cat() -> Result<CatReport, Error> { Ok(CatReport {}) }
