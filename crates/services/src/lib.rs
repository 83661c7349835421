//! Services outside the fleet's own stores, behind ports: who has which feature.
//!
//! Each port has an adapter that needs no service, which is the default.

pub mod flags;
pub mod http;
