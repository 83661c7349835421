use std::sync::Arc;

use quizmentor_core::Role;
use quizmentor_store::{
    Error,
    records::{LinkHash, NewJob, Records},
};
use serde_json::json;
use uuid::Uuid;

use super::{begun, contract};
use crate::samples::{answer_id, at, commit, erased, full_session, learner, session_id};

contract!(
    nothing_is_left_of_a_learner_and_all_of_the_others,
    an_answer_under_way_comes_to_nothing,
    a_job_that_is_made_meanwhile_comes_to_nothing,
);

/// A learner with something of everything.
async fn practised(records: &dyn Records, n: u128) {
    let owner = learner(n);
    let session = begun(records, session_id(n), owner).await;
    records.create_session(&full_session(session_id(100 + n), owner)).await.unwrap();
    records.create_link(LinkHash([n as u8; 32]), Role::Author, owner, at(60)).await.unwrap();
    let mut answer = commit(answer_id(n), &session);
    answer.event.payload = json!({ "learner": owner });
    records.commit_answer(&answer).await.unwrap();
    let job = |id, learner, payload| NewJob {
        id: Uuid::from_u128(id),
        kind: "webhook".into(),
        payload,
        learner,
        due: at(0),
    };
    let jobs =
        [job(n, Some(owner), json!({})), job(100 + n, None, json!({"event": {"learner": owner}}))];
    records.outbox_acknowledge(0, &jobs).await.unwrap();
}

async fn nothing_is_left_of_a_learner_and_all_of_the_others(records: Arc<dyn Records>) {
    for n in [1, 2] {
        practised(&*records, n).await;
    }
    assert_eq!(records.learner_created(learner(1)).await.unwrap(), Some(at(0)));
    records.erase_learner(learner(1), &erased(learner(1))).await.unwrap();

    assert_eq!(records.learner_created(learner(1)).await.unwrap(), None);
    assert_eq!(records.session(session_id(1)).await.unwrap(), None);
    assert_eq!(records.sessions_of(learner(1), None, 9).await.unwrap().items, []);
    assert_eq!(records.answers_of(learner(1), 0, 9).await.unwrap(), []);
    assert_eq!(records.answer(answer_id(1)).await.unwrap(), None);
    assert_eq!(records.learner_state(learner(1)).await.unwrap(), None);
    assert_eq!(records.redeem_link(LinkHash([1; 32]), at(1)).await.unwrap(), None);
    let id = learner(1).to_string();
    let mut events = records.outbox_after(0, 9).await.unwrap();
    assert_eq!(events.pop().unwrap().event, erased(learner(1)), "which nothing else tells of");
    assert!(!format!("{events:?}").contains(&id), "{events:?}");
    let jobs = records.lease_jobs("webhook", at(0), at(1), 9).await.unwrap();
    assert!(!format!("{jobs:?}").contains(&id), "{jobs:?}");

    assert_eq!((events.len(), jobs.len()), (1, 2));
    assert_eq!(records.answers_after(0, 9).await.unwrap().len(), 1);
    assert_eq!(records.sessions_of(learner(2), None, 9).await.unwrap().items.len(), 2);
    assert_eq!(records.learner_state(learner(2)).await.unwrap().unwrap().version, 1);
    let again = records.erase_learner(learner(1), &erased(learner(1))).await;
    assert!(matches!(again, Err(Error::NotFound("learner"))), "{again:?}");
}

async fn an_answer_under_way_comes_to_nothing(records: Arc<dyn Records>) {
    for round in 0..20 {
        let session = begun(&*records, session_id(round), learner(round)).await;
        let answer = commit(answer_id(round), &session);
        let task = tokio::spawn({
            let records = records.clone();
            async move { records.commit_answer(&answer).await }
        });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let erased = erased(learner(round));
        records.erase_learner(learner(round), &erased).await.unwrap();
        // Stored before and erased, or refused after.
        let _ = task.await.unwrap();
        assert_eq!(records.answer(answer_id(round)).await.unwrap(), None);
        assert_eq!(records.learner_state(learner(round)).await.unwrap(), None);
        assert_eq!(records.session(session.id).await.unwrap(), None);
    }
}

/// Someone has read the learner's event and is about to make a job of it.
async fn a_job_that_is_made_meanwhile_comes_to_nothing(records: Arc<dyn Records>) {
    for round in 0..20 {
        let owner = learner(round);
        practised(&*records, round).await;
        let read = records.outbox_after(0, 9).await.unwrap();
        let job = NewJob {
            id: Uuid::from_u128(1_000 + round),
            kind: "late".into(),
            payload: json!({ "event": read.last().unwrap().event.payload }),
            learner: Some(owner),
            due: at(0),
        };
        let upto = read.last().unwrap().sequence;
        let task = tokio::spawn({
            let records = records.clone();
            async move { records.outbox_acknowledge(upto, &[job]).await }
        });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        records.erase_learner(owner, &erased(owner)).await.unwrap();
        task.await.unwrap().unwrap();
        let jobs = records.lease_jobs("late", at(0), at(1), 9).await.unwrap();
        assert_eq!(jobs, []);
        records.outbox_acknowledge(u64::MAX, &[]).await.unwrap();
    }
}
