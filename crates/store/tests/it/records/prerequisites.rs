use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quizmentor_store::{
    Error,
    records::{Prerequisites, Records},
};

use super::contract;
use crate::samples::skill;

contract!(
    prerequisites_come_back_as_they_were,
    of_many_changes_of_prerequisites_one_wins,
    a_version_of_prerequisites_is_never_skipped,
);

fn version(version: u64) -> Prerequisites {
    let before: BTreeSet<_> = (0..version).map(|n| skill(&format!("biology/skill-{n}"))).collect();
    let of = BTreeMap::from([
        (skill("biology/cells"), before),
        (skill("physics/motion"), BTreeSet::from([skill("mathematics/vectors")])),
    ]);
    Prerequisites { version, of }
}

async fn prerequisites_come_back_as_they_were(records: Arc<dyn Records>) {
    assert_eq!(records.prerequisites().await.unwrap(), Prerequisites::default());
    for next in [1, 2, 3].map(version) {
        records.put_prerequisites(&next).await.unwrap();
        assert_eq!(records.prerequisites().await.unwrap(), next);
    }
    let none = Prerequisites { version: 4, of: BTreeMap::new() };
    records.put_prerequisites(&none).await.unwrap();
    assert_eq!(records.prerequisites().await.unwrap(), none);
}

async fn of_many_changes_of_prerequisites_one_wins(records: Arc<dyn Records>) {
    for next in [1, 2] {
        let changes: Vec<_> = (0..6)
            .map(|n| {
                let records = records.clone();
                let change = Prerequisites { version: next, ..version(n) };
                tokio::spawn(async move { (records.put_prerequisites(&change).await, change) })
            })
            .collect();
        let mut winners = Vec::new();
        for change in changes {
            match change.await.unwrap() {
                (Ok(()), change) => winners.push(change),
                (Err(Error::Conflict("prerequisites")), _) => {}
                (other, _) => panic!("{other:?}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(records.prerequisites().await.unwrap(), winners[0]);
    }
}

async fn a_version_of_prerequisites_is_never_skipped(records: Arc<dyn Records>) {
    records.put_prerequisites(&version(1)).await.unwrap();
    for wrong in [0, 1, 3] {
        let refused = records.put_prerequisites(&version(wrong)).await;
        assert!(matches!(refused, Err(Error::Conflict("prerequisites"))), "{refused:?}");
    }
    let beyond =
        records.put_prerequisites(&Prerequisites { version: u64::MAX, ..version(1) }).await;
    assert!(matches!(beyond, Err(Error::Invalid { .. })), "{beyond:?}");
    assert_eq!(records.prerequisites().await.unwrap(), version(1));
}
