use std::sync::Arc;

use quizmentor_core::{LearnerId, Timestamp};
use quizmentor_store::{
    Error,
    records::{CommitOutcome, Records},
};

use super::{begun, contract};
use crate::samples::{answer_id, commit, learner, session_id};

contract!(months_that_have_ended_go_and_the_others_stay, nothing_to_drop_is_no_fault);

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An answer of the learner on each of `days`, in sessions of their own.
async fn answer_on(records: &dyn Records, owner: LearnerId, days: &[&str]) {
    let mut session = begun(records, session_id(1), owner).await;
    for (n, day) in (1..).zip(days) {
        let mut next = commit(answer_id(n), &session);
        next.answer.at = moment(day);
        let outcome = records.commit_answer(&next).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
        session = next.session;
    }
}

async fn months_that_have_ended_go_and_the_others_stay(records: Arc<dyn Records>) {
    let days = [
        "2024-11-05T00:00:00Z",
        "2024-12-31T23:59:59.999999Z",
        "2025-01-01T00:00:00Z",
        "2024-12-15T12:00:00Z",
        "2025-01-20T00:00:00Z",
        "2025-03-01T00:00:00Z",
    ];
    // One month has a place of its own, if months have any.
    records.prepare_months(moment("2024-12-10T00:00:00Z")).await.unwrap();
    answer_on(&*records, learner(1), &days).await;
    let state = records.learner_state(learner(1)).await.unwrap();
    let left = async || -> Vec<u64> {
        let all = records.answers_after(0, 99).await.unwrap();
        let own = records.answers_of(learner(1), 0, 99).await.unwrap();
        assert_eq!(all, own);
        all.into_iter().map(|stored| stored.sequence).collect()
    };
    records.drop_months(moment("2024-12-31T23:59:59Z")).await.unwrap();
    assert_eq!(left().await, [2, 3, 4, 5, 6]);
    records.drop_months(moment("2025-01-31T00:00:00Z")).await.unwrap();
    assert_eq!(left().await, [3, 5, 6]);
    assert_eq!(records.answer(answer_id(2)).await.unwrap(), None);
    assert!(records.answer(answer_id(3)).await.unwrap().is_some());

    assert_eq!(records.learner_state(learner(1)).await.unwrap(), state);
    let session = records.session(session_id(1)).await.unwrap().unwrap();
    assert_eq!(session.answered, 6);
    let mut again = commit(answer_id(2), &session);
    again.answer.at = moment("2025-03-02T00:00:00Z");
    let outcome = records.commit_answer(&again).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { sequence: 7 }, "positions are not used again");
    assert_eq!(left().await, [3, 5, 6, 7]);
    let event = crate::samples::erased(learner(1));
    records.erase_learner(learner(1), &event).await.unwrap();
    assert!(left().await.is_empty());
}

async fn nothing_to_drop_is_no_fault(records: Arc<dyn Records>) {
    for before in ["1970-01-01T00:00:00Z", "2025-01-31T00:00:00Z", "9999-12-30T00:00:00Z"] {
        records.drop_months(moment(before)).await.unwrap();
    }
    for _ in 0..2 {
        records.prepare_months(moment("2025-12-31T00:00:00Z")).await.unwrap();
    }
    let missing = records.erase_learner(learner(9), &crate::samples::erased(learner(9))).await;
    assert!(matches!(missing, Err(Error::NotFound("learner"))), "{missing:?}");
    assert_eq!(records.outbox_after(0, 9).await.unwrap(), [], "and tells of nothing");
}
