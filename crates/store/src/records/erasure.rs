//! Erasure of a learner.

use quizmentor_core::LearnerId;

use super::sql::Sql;
use crate::Result;

/// All that holds something of a learner, in the order that references allow. The state goes first:
/// answers under way are stored before that, or not at all.
const ERASE: [&str; 5] = [
    "DELETE FROM learner_states WHERE learner = $1",
    "DELETE FROM jobs WHERE learner = $1",
    "DELETE FROM answers WHERE learner = $1",
    "DELETE FROM sessions WHERE learner = $1",
    "DELETE FROM links WHERE learner = $1",
];

/// Events and jobs tell of learners in their payloads.
const FORGET: [&str; 2] = [
    "DELETE FROM outbox WHERE payload LIKE '%' || $1 || '%'",
    "DELETE FROM jobs WHERE payload LIKE '%' || $1 || '%'",
];

/// Removes all that is a learner's; `false` when there is no such learner. To be called in a
/// transaction.
pub(super) async fn erase(connection: &mut impl Sql, learner: LearnerId) -> Result<bool> {
    for sql in ERASE {
        connection.execute(sql, &[learner.0.into()]).await?;
    }
    let mentioned = learner.0.to_string();
    for sql in FORGET {
        connection.execute(sql, &[(&mentioned).into()]).await?;
    }
    Ok(connection.execute("DELETE FROM learners WHERE id = $1", &[learner.0.into()]).await? == 1)
}
