use std::sync::Arc;

use quizmentor_core::{Role, Timestamp};
use quizmentor_store::{
    Error,
    records::{LinkHash, Records},
};

use super::contract;
use crate::samples::{at, learner};

contract!(
    learners_are_created_once,
    links_sign_in_with_their_role_once,
    links_expire,
    of_many_who_redeem_a_link_one_wins,
    links_need_a_learner_and_a_free_hash,
    the_store_answers,
);

async fn learners_are_created_once(records: Arc<dyn Records>) {
    assert!(!records.learner_exists(learner(1)).await.unwrap());
    records.create_learner(learner(1), at(0)).await.unwrap();
    assert!(records.learner_exists(learner(1)).await.unwrap());
    assert!(!records.learner_exists(learner(2)).await.unwrap());
    let again = records.create_learner(learner(1), at(1)).await;
    assert!(matches!(again, Err(Error::Conflict("learner"))), "{again:?}");
}

async fn links_sign_in_with_their_role_once(records: Arc<dyn Records>) {
    for (n, role) in [(1, Role::Learner), (2, Role::Author), (3, Role::Admin)] {
        let (id, hash) = (learner(n), LinkHash([n as u8; 32]));
        records.create_learner(id, at(0)).await.unwrap();
        records.create_link(hash, role, id, at(60)).await.unwrap();
        assert_eq!(records.redeem_link(hash, at(1)).await.unwrap(), Some((id, role)));
        assert_eq!(records.redeem_link(hash, at(1)).await.unwrap(), None);
    }
    assert_eq!(records.redeem_link(LinkHash([9; 32]), at(1)).await.unwrap(), None);
}

async fn links_expire(records: Arc<dyn Records>) {
    records.create_learner(learner(1), at(0)).await.unwrap();
    let endless = LinkHash([0; 32]);
    records.create_link(endless, Role::Admin, learner(1), Timestamp::MAX).await.unwrap();
    let link = records.redeem_link(endless, at(1_000_000_000)).await.unwrap();
    assert_eq!(link, Some((learner(1), Role::Admin)));
    for (n, now, valid) in [(1, at(59), true), (2, at(60), false), (3, at(61), false)] {
        let hash = LinkHash([n; 32]);
        records.create_link(hash, Role::Author, learner(1), at(60)).await.unwrap();
        assert_eq!(records.redeem_link(hash, now).await.unwrap().is_some(), valid, "{now}");
    }
}

async fn of_many_who_redeem_a_link_one_wins(records: Arc<dyn Records>) {
    records.create_learner(learner(1), at(0)).await.unwrap();
    for round in 0..10 {
        let hash = LinkHash([round; 32]);
        records.create_link(hash, Role::Author, learner(1), at(60)).await.unwrap();
        let tries: Vec<_> = (0..8)
            .map(|_| {
                let records = records.clone();
                tokio::spawn(async move { records.redeem_link(hash, at(1)).await.unwrap() })
            })
            .collect();
        let mut winners = 0;
        for attempt in tries {
            winners += usize::from(attempt.await.unwrap().is_some());
        }
        assert_eq!(winners, 1);
    }
}

async fn links_need_a_learner_and_a_free_hash(records: Arc<dyn Records>) {
    let hash = LinkHash([1; 32]);
    let nobody = records.create_link(hash, Role::Author, learner(1), at(60)).await;
    assert!(matches!(nobody, Err(Error::NotFound("learner"))), "{nobody:?}");
    records.create_learner(learner(1), at(0)).await.unwrap();
    records.create_learner(learner(2), at(0)).await.unwrap();
    records.create_link(hash, Role::Author, learner(1), at(60)).await.unwrap();
    let taken = records.create_link(hash, Role::Admin, learner(2), at(60)).await;
    assert!(matches!(taken, Err(Error::Conflict("link"))), "{taken:?}");
    let link = records.redeem_link(hash, at(1)).await.unwrap();
    assert_eq!(link, Some((learner(1), Role::Author)));
}

async fn the_store_answers(records: Arc<dyn Records>) {
    records.ping().await.unwrap();
}
