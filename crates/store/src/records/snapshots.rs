//! What the adaptive engine keeps: the states of learners and snapshots of its model.

use quizmentor_core::LearnerId;

use super::{
    Snapshot, SnapshotInfo, VersionedState,
    encoding::{cursor, from_int, to_int},
    rows::snapshot_info,
    sql::Sql,
};
use crate::{Error, Result};

pub(super) async fn learner_state(
    connection: &mut impl Sql,
    learner: LearnerId,
) -> Result<Option<VersionedState>> {
    let sql = "SELECT version, state FROM learner_states WHERE learner = $1";
    let row: Option<(i64, Vec<u8>)> = connection.first(sql, &[learner.0.into()]).await?;
    row.map(|(version, bytes)| {
        Ok(VersionedState { version: from_int("version of a learner's state", version)?, bytes })
    })
    .transpose()
}

pub(super) async fn put(connection: &mut impl Sql, info: SnapshotInfo, bytes: &[u8]) -> Result<()> {
    let sql = "INSERT INTO snapshots (version, upto_sequence, snapshot)
         SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM snapshots WHERE version >= $1)
         ON CONFLICT DO NOTHING";
    let values = [
        to_int("version of the snapshot", info.version)?.into(),
        to_int("sequence of the snapshot", info.upto_sequence)?.into(),
        bytes.into(),
    ];
    if connection.execute(sql, &values).await? == 1 {
        Ok(())
    } else {
        Err(Error::Conflict("snapshot"))
    }
}

pub(super) async fn empty_below(connection: &mut impl Sql, version: u64) -> Result<()> {
    let sql = "UPDATE snapshots SET snapshot = $2 WHERE version < $1 AND snapshot <> $2";
    connection.execute(sql, &[cursor(version).into(), (&[][..]).into()]).await?;
    Ok(())
}

pub(super) async fn latest(connection: &mut impl Sql) -> Result<Option<Snapshot>> {
    let sql =
        "SELECT version, upto_sequence, snapshot FROM snapshots ORDER BY version DESC LIMIT 1";
    let row: Option<(i64, i64, Vec<u8>)> = connection.first(sql, &[]).await?;
    row.map(|(version, upto, bytes)| Ok(Snapshot { info: snapshot_info(version, upto)?, bytes }))
        .transpose()
}

pub(super) async fn latest_info(connection: &mut impl Sql) -> Result<Option<SnapshotInfo>> {
    let sql = "SELECT version, upto_sequence FROM snapshots ORDER BY version DESC LIMIT 1";
    let row: Option<(i64, i64)> = connection.first(sql, &[]).await?;
    row.map(|(version, upto)| snapshot_info(version, upto)).transpose()
}

pub(super) async fn list(connection: &mut impl Sql) -> Result<Vec<SnapshotInfo>> {
    let sql = "SELECT version, upto_sequence FROM snapshots ORDER BY version DESC";
    let rows: Vec<(i64, i64)> = connection.all(sql, &[]).await?;
    rows.into_iter().map(|(version, upto)| snapshot_info(version, upto)).collect()
}
