use std::sync::Arc;

use quizmentor_core::Session;
use quizmentor_store::{Error, records::Records};

use super::{begun, contract};
use crate::samples::{at, full_session, learner, session, session_id};

contract!(
    sessions_come_back_as_they_were,
    sessions_need_a_learner_and_a_free_id,
    of_many_updates_from_one_version_one_wins,
    a_session_stays_with_its_learner,
    numbers_that_are_not_finite_are_refused,
    a_version_beyond_what_is_stored_is_refused,
    sessions_are_listed_latest_first,
);

async fn sessions_come_back_as_they_were(records: Arc<dyn Records>) {
    records.create_learner(learner(1), at(0)).await.unwrap();
    let mut full = full_session(session_id(1), learner(1));
    records.create_session(&full).await.unwrap();
    assert_eq!(records.session(full.id).await.unwrap().as_ref(), Some(&full));
    full = Session { pending: None, ended_at: None, version: 1, ..full };
    records.update_session(&full).await.unwrap();
    assert_eq!(records.session(full.id).await.unwrap(), Some(full));
    assert_eq!(records.session(session_id(2)).await.unwrap(), None);
}

async fn sessions_need_a_learner_and_a_free_id(records: Arc<dyn Records>) {
    let orphan = records.create_session(&session(session_id(1), learner(1))).await;
    assert!(matches!(orphan, Err(Error::NotFound("learner"))), "{orphan:?}");
    let first = begun(&*records, session_id(1), learner(1)).await;
    records.create_learner(learner(2), at(0)).await.unwrap();
    let taken = records.create_session(&session(session_id(1), learner(2))).await;
    assert!(matches!(taken, Err(Error::Conflict("session"))), "{taken:?}");
    assert_eq!(records.session(first.id).await.unwrap(), Some(first));
}

async fn of_many_updates_from_one_version_one_wins(records: Arc<dyn Records>) {
    let session = begun(&*records, session_id(1), learner(1)).await;
    let updates: Vec<_> = (0..8)
        .map(|answered| {
            let (records, next) =
                (records.clone(), Session { answered, version: 1, ..session.clone() });
            tokio::spawn(async move { (records.update_session(&next).await, next) })
        })
        .collect();
    let mut winners = Vec::new();
    for update in updates {
        match update.await.unwrap() {
            (Ok(()), session) => winners.push(session),
            (Err(Error::Conflict("session")), _) => {}
            (other, _) => panic!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(records.session(session.id).await.unwrap().as_ref(), winners.first());
    for version in [0, 1, 3] {
        let stale = records.update_session(&Session { version, ..session.clone() }).await;
        assert!(matches!(stale, Err(Error::Conflict("session"))), "{version} {stale:?}");
    }
}

async fn a_session_stays_with_its_learner(records: Arc<dyn Records>) {
    let theirs = begun(&*records, session_id(1), learner(1)).await;
    records.create_learner(learner(2), at(0)).await.unwrap();
    let stolen = Session { learner: learner(2), version: 1, ..theirs.clone() };
    let absent = Session { version: 1, ..session(session_id(2), learner(1)) };
    for wrong in [stolen, absent] {
        let refused = records.update_session(&wrong).await;
        assert!(matches!(refused, Err(Error::NotFound("session"))), "{refused:?}");
    }
    assert_eq!(records.session(theirs.id).await.unwrap(), Some(theirs));
}

async fn numbers_that_are_not_finite_are_refused(records: Arc<dyn Records>) {
    let stored = begun(&*records, session_id(1), learner(1)).await;
    for number in [f64::NAN, f64::INFINITY] {
        let mut new = full_session(session_id(2), learner(1));
        new.pending.as_mut().unwrap().predicted = number;
        let refused = records.create_session(&new).await;
        assert!(matches!(refused, Err(Error::Invalid { what: "session", .. })), "{refused:?}");
        let changed = Session { target: Some(number), version: 1, ..stored.clone() };
        let refused = records.update_session(&changed).await;
        assert!(matches!(refused, Err(Error::Invalid { what: "session", .. })), "{refused:?}");
    }
    assert_eq!(records.sessions_of(learner(1), None, 10).await.unwrap().items, [stored]);
}

async fn a_version_beyond_what_is_stored_is_refused(records: Arc<dyn Records>) {
    let stored = begun(&*records, session_id(1), learner(1)).await;
    let refused = records.update_session(&Session { version: u64::MAX, ..stored }).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
}

async fn sessions_are_listed_latest_first(records: Arc<dyn Records>) {
    for n in [1, 2] {
        records.create_learner(learner(n), at(0)).await.unwrap();
    }
    // Several begin at the same moment, in an order that is not that of their ids.
    let mut sessions: Vec<_> = (0..20)
        .map(|n| Session {
            started_at: at(n * 7 % 5),
            ..session(session_id(n as u128 * 11 % 23 + 1), learner(1))
        })
        .collect();
    for session in &sessions {
        records.create_session(session).await.unwrap();
    }
    let other = session(session_id(100), learner(2));
    records.create_session(&other).await.unwrap();
    sessions.sort_by_key(|session| std::cmp::Reverse((session.started_at, session.id)));

    let (mut found, mut more) = (Vec::<Session>::new(), true);
    while more {
        let after = found.last().map(|session| session.id);
        let page = records.sessions_of(learner(1), after, 3).await.unwrap();
        found.extend(page.items);
        more = page.more;
        // What begins later does not disturb the pages.
        let id = session_id(1_000 + found.len() as u128);
        let late = Session { started_at: at(1_000), ..session(id, learner(1)) };
        records.create_session(&late).await.unwrap();
    }
    assert_eq!(found, sessions);
    for foreign in [other.id, session_id(999)] {
        let refused = records.sessions_of(learner(1), Some(foreign), 3).await;
        assert!(matches!(refused, Err(Error::NotFound("session"))), "{refused:?}");
    }
    assert_eq!(records.sessions_of(learner(3), None, 3).await.unwrap().items, []);
}
