use std::sync::Arc;

use quizmentor_core::{Response, Session, SignedDuration, Timestamp};
use quizmentor_store::{
    Error,
    records::{
        Answer, AnswerCommit, CommitOutcome, MAX_POLICY, OutboxEvent, Records, StoredAnswer,
        VersionedState,
    },
};
use serde_json::json;

use super::{begun, contract};
use crate::samples::{
    ODD_TEXT, answer_id, at, commit, learner, question_id, responses, session_id,
};

contract!(
    answers_come_back_as_they_were,
    an_answer_brings_session_state_and_event_along,
    a_repeated_answer_gives_the_first_whatever_else_it_says,
    an_answer_id_of_another_learner_is_refused_without_a_word,
    a_stale_session_or_state_changes_nothing,
    what_is_missing_is_named,
    values_out_of_range_are_refused,
    of_the_same_answer_sent_many_times_one_is_stored,
    of_many_answers_to_one_version_one_is_stored,
    a_follower_of_answers_misses_nothing,
    an_abandoned_commit_is_all_or_nothing,
    the_outbox_keeps_order_until_acknowledged,
);

async fn committed(records: &dyn Records, commit: &AnswerCommit) -> StoredAnswer {
    let outcome = records.commit_answer(commit).await.unwrap();
    let CommitOutcome::Committed { sequence } = outcome else { panic!("{outcome:?}") };
    StoredAnswer { sequence, answer: commit.answer.clone() }
}

/// All that a commit could change.
type Everything = (Option<Session>, Option<VersionedState>, Vec<StoredAnswer>, Vec<OutboxEvent>);

async fn everything(records: &dyn Records) -> Everything {
    (
        records.session(session_id(1)).await.unwrap(),
        records.learner_state(learner(1)).await.unwrap(),
        records.answers_after(0, 1_000).await.unwrap(),
        records.outbox_after(0, 1_000).await.unwrap(),
    )
}

async fn answers_come_back_as_they_were(records: Arc<dyn Records>) {
    let mut session = begun(&*records, session_id(1), learner(1)).await;
    let mut stored = Vec::new();
    for (n, response) in responses().into_iter().enumerate() {
        let mut next = commit(answer_id(n as u128), &session);
        next.answer = Answer {
            response,
            credit: [0.0, 1.0 / 3.0, 1.0][n % 3],
            correct: n % 3 == 2,
            elapsed_ms: [None, Some(0), Some(u32::MAX)][n % 3],
            at: [Timestamp::MIN, Timestamp::UNIX_EPOCH, at(-1), Timestamp::MAX][n % 4],
            predicted: [0.0, 0.1 + 0.2, 1.0][n % 3],
            propensity: [f64::MIN_POSITIVE, 1.0][n % 2],
            policy: [String::new(), "ż".repeat(MAX_POLICY / 2)][n % 2].clone(),
            snapshot: [0, i64::MAX as u64][n % 2],
            ..next.answer
        };
        stored.push(committed(&*records, &next).await);
        session = next.session;
    }
    for wanted in &mut stored {
        let given = wanted.answer.at;
        let micros = given.subsec_nanosecond() / 1_000;
        wanted.answer.at = Timestamp::new(given.as_second(), micros * 1_000).unwrap();
        let found = records.answer(wanted.answer.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&*wanted));
    }
    assert!(stored.is_sorted_by(|a, b| a.sequence < b.sequence));
    assert_eq!(records.answers_of(learner(1), 0, 100).await.unwrap(), stored);
    assert_eq!(records.answers_after(0, 100).await.unwrap(), stored);
    assert_eq!(records.answers_after(stored[2].sequence, 2).await.unwrap(), stored[3..5]);
    assert_eq!(records.answers_of(learner(1), stored[6].sequence, 9).await.unwrap(), stored[7..]);
    assert_eq!(records.answers_of(learner(2), 0, 100).await.unwrap(), []);
    assert_eq!(records.answers_after(u64::MAX, 100).await.unwrap(), []);
    assert_eq!(records.answer(answer_id(99)).await.unwrap(), None);
}

async fn an_answer_brings_session_state_and_event_along(records: Arc<dyn Records>) {
    let session = begun(&*records, session_id(1), learner(1)).await;
    assert_eq!(records.learner_state(learner(1)).await.unwrap(), None);
    let first = commit(answer_id(1), &session);
    let mut second = commit(answer_id(2), &first.session);
    second.event.payload = json!({"text": ODD_TEXT, "number": 0.1, "none": null});
    for next in [first, second] {
        let stored = committed(&*records, &next).await;
        let (session, state, answers, events) = everything(&*records).await;
        assert_eq!(session, Some(next.session));
        assert_eq!(state, Some(next.state));
        assert_eq!(answers.last(), Some(&stored));
        assert_eq!(events.last().map(|waiting| &waiting.event), Some(&next.event));
        assert_eq!(events.len(), answers.len());
    }
}

async fn a_repeated_answer_gives_the_first_whatever_else_it_says(records: Arc<dyn Records>) {
    let session = begun(&*records, session_id(1), learner(1)).await;
    let first = commit(answer_id(1), &session);
    let stored = committed(&*records, &first).await;
    let before = everything(&*records).await;
    let mut nonsense = commit(answer_id(1), &first.session);
    nonsense.answer.question = question_id("absent");
    nonsense.answer.session = session_id(9);
    nonsense.answer.credit = f64::NAN;
    nonsense.answer.response = Response::Number { number: f64::INFINITY };
    nonsense.session.version = u64::MAX;
    nonsense.session.learner = learner(9);
    for repeated in [first.clone(), commit(answer_id(1), &first.session), nonsense] {
        let outcome = records.commit_answer(&repeated).await.unwrap();
        assert_eq!(outcome, CommitOutcome::Duplicate(Box::new(stored.clone())));
    }
    assert_eq!(everything(&*records).await, before);
}

async fn an_answer_id_of_another_learner_is_refused_without_a_word(records: Arc<dyn Records>) {
    let theirs = begun(&*records, session_id(1), learner(1)).await;
    committed(&*records, &commit(answer_id(1), &theirs)).await;
    let before = everything(&*records).await;
    let mine = begun(&*records, session_id(2), learner(2)).await;
    let refused = records.commit_answer(&commit(answer_id(1), &mine)).await;
    assert!(matches!(refused, Err(Error::Conflict("answer id"))), "{refused:?}");
    assert_eq!(everything(&*records).await, before);
    assert_eq!(records.session(mine.id).await.unwrap(), Some(mine));
    assert_eq!(records.learner_state(learner(2)).await.unwrap(), None);
}

async fn a_stale_session_or_state_changes_nothing(records: Arc<dyn Records>) {
    let session = begun(&*records, session_id(1), learner(1)).await;
    let first = commit(answer_id(1), &session);
    let early = AnswerCommit {
        state: VersionedState { version: 2, bytes: vec![] },
        ..commit(answer_id(2), &session)
    };
    assert_eq!(records.commit_answer(&early).await.unwrap(), CommitOutcome::Conflict);
    committed(&*records, &first).await;
    let before = everything(&*records).await;
    let next = commit(answer_id(2), &first.session);
    for version in [0, 1, 3] {
        let mut stale = next.clone();
        stale.session.version = version;
        assert_eq!(records.commit_answer(&stale).await.unwrap(), CommitOutcome::Conflict);
        let mut stale = next.clone();
        stale.state.version = version;
        assert_eq!(records.commit_answer(&stale).await.unwrap(), CommitOutcome::Conflict);
    }
    assert_eq!(everything(&*records).await, before);
    committed(&*records, &next).await;
}

async fn what_is_missing_is_named(records: Arc<dyn Records>) {
    let session = begun(&*records, session_id(1), learner(1)).await;
    let before = everything(&*records).await;
    let mut no_question = commit(answer_id(1), &session);
    no_question.answer.question = question_id("absent");
    let no_session = commit(answer_id(1), &Session { id: session_id(9), ..session.clone() });
    let other_learner = commit(answer_id(1), &Session { learner: learner(9), ..session.clone() });
    for (wrong, missing) in
        [(no_question, "question"), (no_session, "session"), (other_learner, "session")]
    {
        let refused = records.commit_answer(&wrong).await;
        assert!(
            matches!(refused, Err(Error::NotFound(what)) if what == missing),
            "{missing}: {refused:?}"
        );
    }
    assert_eq!(everything(&*records).await, before);
}

async fn values_out_of_range_are_refused(records: Arc<dyn Records>) {
    type Spoil = fn(&mut AnswerCommit);
    let session = begun(&*records, session_id(1), learner(1)).await;
    let before = everything(&*records).await;
    let cases: [(&str, Spoil); 12] = [
        ("session", |c| c.answer.session = session_id(2)),
        ("session", |c| c.answer.learner = learner(2)),
        ("credit", |c| c.answer.credit = 1.01),
        ("credit", |c| c.answer.credit = f64::NAN),
        ("predicted", |c| c.answer.predicted = -0.01),
        ("propensity", |c| c.answer.propensity = 0.0),
        ("propensity", |c| c.answer.propensity = f64::NAN),
        ("policy", |c| c.answer.policy = "p".repeat(MAX_POLICY + 1)),
        ("snapshot", |c| c.answer.snapshot = 1 << 63),
        ("response", |c| c.answer.response = Response::Number { number: f64::NAN }),
        ("version of the learner's state", |c| c.state.version = u64::MAX),
        ("event", |c| c.event.payload = (0..200).fold(json!(0), |inner, _| json!([inner]))),
    ];
    for (field, spoil) in cases {
        let mut wrong = commit(answer_id(1), &session);
        spoil(&mut wrong);
        let refused = records.commit_answer(&wrong).await;
        assert!(
            matches!(refused, Err(Error::Invalid { what, .. }) if what == field),
            "{field}: {refused:?}"
        );
    }
    assert_eq!(everything(&*records).await, before);
}

async fn of_the_same_answer_sent_many_times_one_is_stored(records: Arc<dyn Records>) {
    let session = begun(&*records, session_id(1), learner(1)).await;
    let outcomes = at_once(&records, vec![commit(answer_id(1), &session); 8]).await;
    let stored = records.answer(answer_id(1)).await.unwrap().unwrap();
    let won = CommitOutcome::Committed { sequence: stored.sequence };
    let lost = CommitOutcome::Duplicate(Box::new(stored));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == won).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == lost).count(), 7);
}

async fn of_many_answers_to_one_version_one_is_stored(records: Arc<dyn Records>) {
    let session = begun(&*records, session_id(1), learner(1)).await;
    let commits = (0..8).map(|n| commit(answer_id(n), &session)).collect();
    let outcomes = at_once(&records, commits).await;
    let (_, _, answers, events) = everything(&*records).await;
    assert_eq!((answers.len(), events.len()), (1, 1));
    assert_eq!(outcomes.iter().filter(|o| **o == CommitOutcome::Conflict).count(), 7);
    let won = CommitOutcome::Committed { sequence: answers[0].sequence };
    let winner = outcomes.iter().position(|outcome| *outcome == won).unwrap();
    assert_eq!(answers[0].answer.id, answer_id(winner as u128));
}

async fn at_once(records: &Arc<dyn Records>, commits: Vec<AnswerCommit>) -> Vec<CommitOutcome> {
    let tasks: Vec<_> = commits
        .into_iter()
        .map(|commit| {
            let records = records.clone();
            tokio::spawn(async move { records.commit_answer(&commit).await.unwrap() })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

async fn a_follower_of_answers_misses_nothing(records: Arc<dyn Records>) {
    const LEARNERS: u128 = 4;
    const EACH: u128 = 15;
    let mut writers = Vec::new();
    for n in 1..=LEARNERS {
        let mut session = begun(&*records, session_id(n), learner(n)).await;
        let records = records.clone();
        writers.push(tokio::spawn(async move {
            for i in 0..EACH {
                let next = commit(answer_id(n * 1_000 + i), &session);
                committed(&*records, &next).await;
                session = next.session;
            }
        }));
    }
    let mut followed = Vec::<StoredAnswer>::new();
    while followed.len() < (LEARNERS * EACH) as usize {
        let finished = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let after = followed.last().map_or(0, |stored| stored.sequence);
        let new = records.answers_after(after, 3).await.unwrap();
        assert!(!(finished && new.is_empty()), "missed some: {}", followed.len());
        followed.extend(new);
        tokio::task::yield_now().await;
    }
    assert_eq!(followed, records.answers_after(0, 1_000).await.unwrap());
    for n in 1..=LEARNERS {
        let own = followed.iter().filter(|stored| stored.answer.learner == learner(n));
        let own: Vec<_> = own.cloned().collect();
        assert_eq!(records.answers_of(learner(n), 0, 1_000).await.unwrap(), own);
        let state = records.learner_state(learner(n)).await.unwrap();
        assert_eq!(state.map(|state| state.version), Some(EACH as u64));
    }
}

/// Callers that give up at any moment leave no half of a commit and no stuck connection behind.
async fn an_abandoned_commit_is_all_or_nothing(records: Arc<dyn Records>) {
    let mut session = begun(&*records, session_id(1), learner(1)).await;
    for n in 0..200_u32 {
        let next = commit(answer_id(n.into()), &session);
        let task = tokio::spawn({
            let (records, next) = (records.clone(), next.clone());
            async move { records.commit_answer(&next).await }
        });
        for _ in 0..n % 40 {
            tokio::task::yield_now().await;
        }
        task.abort();
        match records.commit_answer(&next).await.unwrap() {
            CommitOutcome::Committed { .. } => {}
            CommitOutcome::Duplicate(stored) => assert_eq!(stored.answer, next.answer),
            CommitOutcome::Conflict => panic!("half of commit {n} was stored"),
        }
        session = next.session;
    }
    // What the last of those who were abandoned holds is seen when it has ended.
    while records.answers_after(199, 1).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let (stored, state, answers, events) = everything(&*records).await;
    assert_eq!(stored, Some(session));
    assert_eq!(state.map(|state| state.version), Some(200));
    assert_eq!((answers.len(), events.len()), (200, 200));
}

async fn the_outbox_keeps_order_until_acknowledged(records: Arc<dyn Records>) {
    let mut session = begun(&*records, session_id(1), learner(1)).await;
    let mut told = Vec::new();
    for n in 0..6 {
        let mut next = commit(answer_id(n), &session);
        next.event.at = at(n as i64) + SignedDuration::from_micros(1);
        committed(&*records, &next).await;
        told.push(next.event);
        session = next.session;
    }
    let waiting = records.outbox_after(0, 100).await.unwrap();
    assert!(waiting.is_sorted_by(|a, b| a.sequence < b.sequence));
    assert_eq!(waiting.iter().map(|w| w.event.clone()).collect::<Vec<_>>(), told);
    assert_eq!(records.outbox_after(waiting[1].sequence, 2).await.unwrap(), waiting[2..4]);
    records.outbox_acknowledge(waiting[2].sequence, &[]).await.unwrap();
    records.outbox_acknowledge(waiting[0].sequence, &[]).await.unwrap();
    assert_eq!(records.outbox_after(0, 100).await.unwrap(), waiting[3..]);
    records.outbox_acknowledge(u64::MAX, &[]).await.unwrap();
    assert_eq!(records.outbox_after(0, 100).await.unwrap(), []);
    committed(&*records, &commit(answer_id(6), &session)).await;
    let later = records.outbox_after(waiting[5].sequence, 100).await.unwrap();
    assert_eq!(later.len(), 1, "sequences are not used again");
}
