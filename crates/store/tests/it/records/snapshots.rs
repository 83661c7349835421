use std::sync::Arc;

use quizmentor_store::{
    Error,
    records::{Records, Snapshot, SnapshotInfo},
};

use super::contract;

contract!(
    emptied_snapshots_keep_their_place,
    the_latest_snapshot_counts,
    versions_of_snapshots_only_grow,
);

async fn emptied_snapshots_keep_their_place(records: Arc<dyn Records>) {
    let infos = [1, 2].map(|version| SnapshotInfo { version, upto_sequence: 10 * version });
    for info in infos {
        records.put_snapshot(info, b"bytes").await.unwrap();
    }
    records.empty_snapshots_below(2).await.unwrap();
    assert_eq!(records.snapshots().await.unwrap(), [infos[1], infos[0]]);
    assert_eq!(records.latest_snapshot().await.unwrap().unwrap().bytes, b"bytes");
    records.empty_snapshots_below(3).await.unwrap();
    assert_eq!(records.latest_snapshot().await.unwrap().unwrap().bytes, b"");
}

async fn the_latest_snapshot_counts(records: Arc<dyn Records>) {
    assert_eq!(records.latest_snapshot().await.unwrap(), None);
    assert_eq!(records.latest_snapshot_info().await.unwrap(), None);
    assert_eq!(records.snapshots().await.unwrap(), []);
    let all_bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let (first, second) = (
        SnapshotInfo { version: 1, upto_sequence: 0 },
        SnapshotInfo { version: 7, upto_sequence: i64::MAX as u64 },
    );
    records.put_snapshot(first, &[]).await.unwrap();
    records.put_snapshot(second, &all_bytes).await.unwrap();
    let latest = records.latest_snapshot().await.unwrap();
    assert!(latest == Some(Snapshot { info: second, bytes: all_bytes }));
    assert_eq!(records.latest_snapshot_info().await.unwrap(), Some(second));
    assert_eq!(records.snapshots().await.unwrap(), [second, first]);
}

async fn versions_of_snapshots_only_grow(records: Arc<dyn Records>) {
    let stored = SnapshotInfo { version: 5, upto_sequence: 9 };
    records.put_snapshot(stored, b"five").await.unwrap();
    for version in [0, 4, 5] {
        let refused = records.put_snapshot(SnapshotInfo { version, ..stored }, b"late").await;
        assert!(matches!(refused, Err(Error::Conflict("snapshot"))), "{refused:?}");
    }
    let beyond = SnapshotInfo { version: u64::MAX, ..stored };
    assert!(matches!(records.put_snapshot(beyond, b"").await, Err(Error::Invalid { .. })));
    assert_eq!(records.snapshots().await.unwrap(), [stored]);
}
