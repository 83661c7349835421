//! What the adaptive engine keeps: the states of learners and snapshots of its model.

use quizmentor_core::LearnerId;
use sqlx::{SqliteConnection, SqlitePool};

use crate::{
    Error, Result,
    records::{
        Snapshot, SnapshotInfo, VersionedState,
        encoding::{cursor, from_int, to_int},
        rows::{CommitRow, snapshot_info},
    },
};

/// Stores the learner's next state; `false` unless its version is one above the stored one.
pub(super) async fn advance_state(
    connection: &mut SqliteConnection,
    row: &CommitRow,
) -> Result<bool> {
    let sql = if row.state_version == 1 {
        "INSERT INTO learner_states (version, state, learner) VALUES (?1, ?2, ?3)
         ON CONFLICT (learner) DO NOTHING"
    } else {
        "UPDATE learner_states SET version = ?1, state = ?2
         WHERE learner = ?3 AND version = ?1 - 1"
    };
    let stored = sqlx::query(sql)
        .bind(row.state_version)
        .bind(&row.state)
        .bind(row.learner)
        .execute(connection)
        .await?;
    Ok(stored.rows_affected() == 1)
}

pub(super) async fn learner_state(
    pool: &SqlitePool,
    learner: LearnerId,
) -> Result<Option<VersionedState>> {
    let row: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, state FROM learner_states WHERE learner = ?")
            .bind(learner.0)
            .fetch_optional(pool)
            .await?;
    row.map(|(version, bytes)| {
        Ok(VersionedState { version: from_int("version of a learner's state", version)?, bytes })
    })
    .transpose()
}

pub(super) async fn put(pool: &SqlitePool, info: SnapshotInfo, bytes: &[u8]) -> Result<()> {
    let stored = sqlx::query(
        "INSERT INTO snapshots (version, upto_sequence, snapshot)
         SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM snapshots WHERE version >= ?1)",
    )
    .bind(to_int("version of the snapshot", info.version)?)
    .bind(to_int("sequence of the snapshot", info.upto_sequence)?)
    .bind(bytes)
    .execute(pool)
    .await?;
    if stored.rows_affected() == 1 { Ok(()) } else { Err(Error::Conflict("snapshot")) }
}

pub(super) async fn empty_below(pool: &SqlitePool, version: u64) -> Result<()> {
    sqlx::query("UPDATE snapshots SET snapshot = x'' WHERE version < ? AND snapshot <> x''")
        .bind(cursor(version))
        .execute(pool)
        .await?;
    Ok(())
}

pub(super) async fn latest(pool: &SqlitePool) -> Result<Option<Snapshot>> {
    let row: Option<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT version, upto_sequence, snapshot FROM snapshots ORDER BY version DESC LIMIT 1",
    )
    .fetch_optional(pool)
    .await?;
    row.map(|(version, upto, bytes)| Ok(Snapshot { info: snapshot_info(version, upto)?, bytes }))
        .transpose()
}

pub(super) async fn latest_info(pool: &SqlitePool) -> Result<Option<SnapshotInfo>> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT version, upto_sequence FROM snapshots ORDER BY version DESC LIMIT 1",
    )
    .fetch_optional(pool)
    .await?;
    row.map(|(version, upto)| snapshot_info(version, upto)).transpose()
}

pub(super) async fn list(pool: &SqlitePool) -> Result<Vec<SnapshotInfo>> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT version, upto_sequence FROM snapshots ORDER BY version DESC")
            .fetch_all(pool)
            .await?;
    rows.into_iter().map(|(version, upto)| snapshot_info(version, upto)).collect()
}
