//! Who asks: roles and principals.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::LearnerId;

/// What an account may do; each role includes those before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Practises, and sees its own progress.
    Learner,
    /// Also reads keys, writes, imports and exports questions.
    Author,
    /// Also invites authors and sees every account.
    Admin,
}

/// The authenticated sender of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// The account's learner; authors can practise too.
    pub learner: LearnerId,
    /// What it may do.
    pub role: Role,
}
