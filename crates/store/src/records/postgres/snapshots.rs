//! What the adaptive engine keeps: the states of learners and snapshots of its model.

use quizmentor_core::LearnerId;
use sqlx::PgConnection;

use crate::{
    Error, Result,
    records::{
        Snapshot, SnapshotInfo, VersionedState,
        encoding::{cursor, from_int, to_int},
        rows::snapshot_info,
    },
};

pub(super) async fn learner_state(
    connection: &mut PgConnection,
    learner: LearnerId,
) -> Result<Option<VersionedState>> {
    let row: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, state FROM learner_states WHERE learner = $1")
            .bind(learner.0)
            .fetch_optional(connection)
            .await?;
    row.map(|(version, bytes)| {
        Ok(VersionedState { version: from_int("version of a learner's state", version)?, bytes })
    })
    .transpose()
}

pub(super) async fn put(
    connection: &mut PgConnection,
    info: SnapshotInfo,
    bytes: &[u8],
) -> Result<()> {
    let stored = sqlx::query(
        "INSERT INTO snapshots (version, upto_sequence, snapshot)
         SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM snapshots WHERE version >= $1)
         ON CONFLICT DO NOTHING",
    )
    .bind(to_int("version of the snapshot", info.version)?)
    .bind(to_int("sequence of the snapshot", info.upto_sequence)?)
    .bind(bytes)
    .execute(connection)
    .await?;
    if stored.rows_affected() == 1 { Ok(()) } else { Err(Error::Conflict("snapshot")) }
}

pub(super) async fn empty_below(connection: &mut PgConnection, version: u64) -> Result<()> {
    sqlx::query("UPDATE snapshots SET snapshot = '' WHERE version < $1 AND snapshot <> ''")
        .bind(cursor(version))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn latest(connection: &mut PgConnection) -> Result<Option<Snapshot>> {
    let row: Option<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT version, upto_sequence, snapshot FROM snapshots ORDER BY version DESC LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    row.map(|(version, upto, bytes)| Ok(Snapshot { info: snapshot_info(version, upto)?, bytes }))
        .transpose()
}

pub(super) async fn latest_info(connection: &mut PgConnection) -> Result<Option<SnapshotInfo>> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "SELECT version, upto_sequence FROM snapshots ORDER BY version DESC LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    row.map(|(version, upto)| snapshot_info(version, upto)).transpose()
}

pub(super) async fn list(connection: &mut PgConnection) -> Result<Vec<SnapshotInfo>> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT version, upto_sequence FROM snapshots ORDER BY version DESC")
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(|(version, upto)| snapshot_info(version, upto)).collect()
}
