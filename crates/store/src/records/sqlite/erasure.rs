//! Erasure of a learner.

use quizmentor_core::LearnerId;
use sqlx::SqliteConnection;

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

/// Removes all that is a learner's; `false` when there is no such learner.
pub(super) async fn erase(connection: &mut SqliteConnection, learner: LearnerId) -> Result<bool> {
    for sql in ERASE {
        sqlx::query(sql).bind(learner.0).execute(&mut *connection).await?;
    }
    let mentioned = learner.0.to_string();
    // Events and jobs tell of learners in their payloads.
    for sql in [
        "DELETE FROM outbox WHERE instr(payload, $1) > 0",
        "DELETE FROM jobs WHERE instr(payload, $1) > 0",
    ] {
        sqlx::query(sql).bind(&mentioned).execute(&mut *connection).await?;
    }
    let erased = sqlx::query("DELETE FROM learners WHERE id = $1")
        .bind(learner.0)
        .execute(connection)
        .await?;
    Ok(erased.rows_affected() == 1)
}
