//! Random sequences of operations against plain maps.

use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::TestRunner};
use quizmentor_core::{AnswerId, LearnerId, Question, Role, Session, SessionId, Status};
use quizmentor_store::{
    Error,
    records::{
        AnswerCommit, CommitOutcome, Event, LinkHash, Postgres, PostgresOptions, QuestionFilter,
        Records, Sqlite, StoredAnswer, VersionedState,
    },
};
use sqlx::{Connection, PgConnection};
use tokio::runtime::Runtime;

use crate::{
    samples::{answer_id, at, commit, learner, question, question_id, session, session_id},
    servers::new_database,
};

/// Names are few, so that operations meet.
#[derive(Debug, Clone)]
enum Operation {
    PutQuestions(Vec<(u8, Status)>),
    CreateLearner(u8),
    CreateLink { hash: u8, learner: u8, expires: i64 },
    RedeemLink { hash: u8, now: i64 },
    CreateSession { id: u8, learner: u8 },
    UpdateSession { id: u8, learner: u8, step: u64 },
    Commit { id: u8, session: u8, learner: u8, question: u8, steps: (u64, u64) },
    Acknowledge(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let few = 0..3_u8;
    // Mostly the version that follows, now and then another one.
    let step = || prop_oneof![6 => Just(1_u64), 1 => 0..4_u64];
    let status = prop_oneof![Just(Status::Draft), Just(Status::Published), Just(Status::Archived)];
    prop_oneof![
        2 => prop::collection::vec((few.clone(), status), 0..4).prop_map(PutQuestions),
        2 => few.clone().prop_map(CreateLearner),
        1 => (few.clone(), few.clone(), 0..4_i64)
            .prop_map(|(hash, learner, expires)| CreateLink { hash, learner, expires }),
        1 => (few.clone(), 0..4_i64).prop_map(|(hash, now)| RedeemLink { hash, now }),
        2 => (few.clone(), few.clone()).prop_map(|(id, learner)| CreateSession { id, learner }),
        2 => (few.clone(), few.clone(), step())
            .prop_map(|(id, learner, step)| UpdateSession { id, learner, step }),
        8 => (0..12_u8, few.clone(), few.clone(), few.clone(), (step(), step())).prop_map(
            |(id, session, learner, question, steps)| Commit {
                id, session, learner, question, steps
            }
        ),
        1 => (0..12_u64).prop_map(Acknowledge),
    ]
}

/// What the records should hold.
#[derive(Default)]
struct Model {
    questions: BTreeMap<String, (u64, Question)>,
    revision: u64,
    learners: Vec<LearnerId>,
    links: BTreeMap<u8, (LearnerId, i64)>,
    sessions: BTreeMap<SessionId, Session>,
    states: BTreeMap<LearnerId, VersionedState>,
    answers: Vec<StoredAnswer>,
    events: Vec<Event>,
    acknowledged: usize,
}

/// What a call came to, in terms that both sides know.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    Put(usize, usize),
    Link(Option<LearnerId>),
    Commit(CommitOutcome),
    NotFound(&'static str),
    Conflict(&'static str),
}

fn outcome<T>(result: Result<T, Error>, done: impl FnOnce(T) -> Outcome) -> Outcome {
    match result {
        Ok(value) => done(value),
        Err(Error::NotFound(what)) => Outcome::NotFound(what),
        Err(Error::Conflict(what)) => Outcome::Conflict(what),
        Err(other) => panic!("{other:?}"),
    }
}

fn versioned(id: u8, status: Status) -> Question {
    Question { status, ..question(&format!("q-{id}")) }
}

impl Model {
    fn stored(&self, id: u8, owner: u8) -> Session {
        let (id, owner) = (session_id(id.into()), learner(owner.into()));
        let stored = self.sessions.get(&id).cloned().unwrap_or_else(|| session(id, owner));
        Session { learner: owner, ..stored }
    }

    fn next_commit(&self, operation: &Operation) -> AnswerCommit {
        let Operation::Commit { id, session, learner, question, steps } = operation else {
            unreachable!("called for commits only")
        };
        let stored = self.stored(*session, *learner);
        let state = self.states.get(&stored.learner).map_or(0, |state| state.version);
        let mut next = commit(answer_id((*id).into()), &stored);
        next.session.version = stored.version + steps.0;
        next.state.version = state + steps.1;
        next.answer.question = question_id(&format!("q-{question}"));
        next
    }

    fn update_session(&mut self, next: &Session) -> Outcome {
        match self.sessions.get_mut(&next.id) {
            Some(stored) if stored.learner == next.learner => {
                if next.version != stored.version + 1 {
                    return Outcome::Conflict("session");
                }
                *stored = next.clone();
                Outcome::Done
            }
            _ => Outcome::NotFound("session"),
        }
    }

    fn commit(&mut self, next: AnswerCommit) -> Outcome {
        if let Some(stored) = self.answers.iter().find(|s| s.answer.id == next.answer.id) {
            return if stored.answer.learner == next.answer.learner {
                Outcome::Commit(CommitOutcome::Duplicate(Box::new(stored.clone())))
            } else {
                Outcome::Conflict("answer id")
            };
        }
        let before = self.sessions.clone();
        match self.update_session(&next.session) {
            Outcome::Done => {}
            Outcome::Conflict(_) => return Outcome::Commit(CommitOutcome::Conflict),
            other => return other,
        }
        let version = self.states.get(&next.answer.learner).map_or(0, |state| state.version);
        let stale = next.state.version != version + 1;
        if stale || !self.questions.contains_key(next.answer.question.as_str()) {
            self.sessions = before;
            return if stale {
                Outcome::Commit(CommitOutcome::Conflict)
            } else {
                Outcome::NotFound("question")
            };
        }
        let sequence = self.answers.len() as u64 + 1;
        self.states.insert(next.answer.learner, next.state);
        self.answers.push(StoredAnswer { sequence, answer: next.answer });
        self.events.push(next.event);
        Outcome::Commit(CommitOutcome::Committed { sequence })
    }

    fn put(&mut self, questions: &[Question]) -> Outcome {
        let (mut created, mut updated) = (0, 0);
        for question in questions {
            match self.questions.get(question.id.as_str()) {
                Some((_, stored)) if stored == question => continue,
                Some(_) => updated += 1,
                None => created += 1,
            }
            self.revision += 1;
            self.questions.insert(question.id.to_string(), (self.revision, question.clone()));
        }
        Outcome::Put(created, updated)
    }

    fn apply(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::PutQuestions(questions) => {
                let questions: Vec<_> = questions.iter().map(|(q, s)| versioned(*q, *s)).collect();
                self.put(&questions)
            }
            Operation::CreateLearner(id) => {
                let id = learner((*id).into());
                if self.learners.contains(&id) {
                    return Outcome::Conflict("learner");
                }
                self.learners.push(id);
                Outcome::Done
            }
            Operation::CreateLink { hash, learner: owner, expires } => {
                let owner = learner((*owner).into());
                if self.links.contains_key(hash) {
                    return Outcome::Conflict("link");
                }
                if !self.learners.contains(&owner) {
                    return Outcome::NotFound("learner");
                }
                self.links.insert(*hash, (owner, *expires));
                Outcome::Done
            }
            Operation::RedeemLink { hash, now } => {
                let link = self.links.remove(hash);
                Outcome::Link(link.filter(|(_, expires)| expires > now).map(|(owner, _)| owner))
            }
            Operation::CreateSession { id, learner: owner } => {
                let new = session(session_id((*id).into()), learner((*owner).into()));
                if self.sessions.contains_key(&new.id) {
                    return Outcome::Conflict("session");
                }
                if !self.learners.contains(&new.learner) {
                    return Outcome::NotFound("learner");
                }
                self.sessions.insert(new.id, new);
                Outcome::Done
            }
            Operation::UpdateSession { id, learner, step } => {
                let stored = self.stored(*id, *learner);
                let version = stored.version + step;
                self.update_session(&Session { version, answered: 9, ..stored })
            }
            Operation::Commit { .. } => {
                let next = self.next_commit(operation);
                self.commit(next)
            }
            Operation::Acknowledge(upto) => {
                let upto = (*upto as usize).min(self.events.len());
                self.acknowledged = self.acknowledged.max(upto);
                Outcome::Done
            }
        }
    }

    /// Runs `operation` on the records; to be called before [`apply`](Self::apply).
    async fn run(&self, operation: &Operation, records: &dyn Records) -> Outcome {
        let done = |()| Outcome::Done;
        match operation {
            Operation::PutQuestions(questions) => {
                let questions: Vec<_> = questions.iter().map(|(q, s)| versioned(*q, *s)).collect();
                let put = records.put_questions(&questions).await;
                outcome(put, |put| Outcome::Put(put.created, put.updated))
            }
            Operation::CreateLearner(id) => {
                outcome(records.create_learner(learner((*id).into()), at(0)).await, done)
            }
            Operation::CreateLink { hash, learner: owner, expires } => {
                let (hash, owner) = (LinkHash([*hash; 32]), learner((*owner).into()));
                let created = records.create_link(hash, Role::Author, owner, at(*expires)).await;
                outcome(created, done)
            }
            Operation::RedeemLink { hash, now } => {
                let link = records.redeem_link(LinkHash([*hash; 32]), at(*now)).await;
                outcome(link, |link| Outcome::Link(link.map(|(owner, _)| owner)))
            }
            Operation::CreateSession { id, learner: owner } => {
                let new = session(session_id((*id).into()), learner((*owner).into()));
                outcome(records.create_session(&new).await, done)
            }
            Operation::UpdateSession { id, learner, step } => {
                let stored = self.stored(*id, *learner);
                let version = stored.version + step;
                let next = Session { version, answered: 9, ..stored };
                outcome(records.update_session(&next).await, done)
            }
            Operation::Commit { .. } => {
                let next = self.next_commit(operation);
                outcome(records.commit_answer(&next).await, Outcome::Commit)
            }
            Operation::Acknowledge(upto) => {
                let upto = (*upto).min(self.events.len() as u64);
                outcome(records.outbox_acknowledge(upto, &[]).await, done)
            }
        }
    }

    async fn assert_matches(&self, records: &dyn Records) {
        let page = records.questions(&QuestionFilter::default(), None, 100).await.unwrap();
        let expected: Vec<_> = self.questions.values().map(|(_, q)| q.clone()).collect();
        assert_eq!(page.items, expected);
        let mut feed: Vec<_> = self.questions.values().cloned().collect();
        feed.sort_by_key(|(revision, _)| *revision);
        assert_eq!(records.question_changes(0, 100).await.unwrap(), feed);
        for n in 0..3 {
            let owner = learner(n);
            let known = records.learner_exists(owner).await.unwrap();
            assert_eq!(known, self.learners.contains(&owner));
            let state = records.learner_state(owner).await.unwrap();
            assert_eq!(state.as_ref(), self.states.get(&owner));
            let session = records.session(session_id(n)).await.unwrap();
            assert_eq!(session.as_ref(), self.sessions.get(&session_id(n)));
            let own = self.answers.iter().filter(|s| s.answer.learner == owner);
            let own: Vec<_> = own.cloned().collect();
            assert_eq!(records.answers_of(owner, 0, 100).await.unwrap(), own);
        }
        assert_eq!(records.answers_after(0, 100).await.unwrap(), self.answers);
        for id in (0..12).map(answer_id) {
            assert_eq!(records.answer(id).await.unwrap(), self.answer(id));
        }
        let waiting = records.outbox_after(0, 100).await.unwrap();
        let waiting: Vec<_> = waiting.into_iter().map(|waiting| waiting.event).collect();
        assert_eq!(waiting, self.events[self.acknowledged..]);
    }

    fn answer(&self, id: AnswerId) -> Option<StoredAnswer> {
        self.answers.iter().find(|stored| stored.answer.id == id).cloned()
    }
}

/// Runs `operations` on every one of `all` and compares each answer with the model's.
async fn compare(operations: &[Operation], all: &[&dyn Records]) {
    let mut model = Model::default();
    for operation in operations {
        let mut found = Vec::new();
        for records in all {
            found.push(model.run(operation, *records).await);
        }
        let expected = model.apply(operation);
        for found in found {
            assert_eq!(found, expected, "{operation:?}");
        }
    }
    for records in all {
        model.assert_matches(*records).await;
    }
    let mut seen = Vec::new();
    for records in all {
        seen.push(everything(*records).await);
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]), "{seen:#?}");
}

/// What calls tell that the model knows nothing of.
async fn everything(records: &dyn Records) -> Vec<String> {
    let mut seen = Vec::new();
    let filters = [
        QuestionFilter::default(),
        QuestionFilter { status: Some(Status::Published), ..QuestionFilter::default() },
        QuestionFilter { text: Some("TITLE OF Q-1".into()), ..QuestionFilter::default() },
        QuestionFilter { subject: Some("biology".into()), ..QuestionFilter::default() },
        QuestionFilter { subject: Some("b".into()), ..QuestionFilter::default() },
    ];
    for filter in &filters {
        let after = question_id("q-0");
        let page = records.questions(filter, Some(&after), 1).await.unwrap();
        seen.push(format!("{page:?} of {}", records.count_questions(filter).await.unwrap()));
    }
    for n in 0..3 {
        let page = records.sessions_of(learner(n), None, 2).await.unwrap();
        if let Some(last) = page.items.last() {
            let rest = records.sessions_of(learner(n), Some(last.id), 2).await;
            seen.push(format!("{rest:?}"));
        }
        seen.push(format!("{page:?} {:?}", records.answers_of(learner(n), 1, 2).await));
    }
    seen.push(format!("{:?}", records.answers_after(1, 2).await));
    seen.push(format!("{:?}", records.outbox_after(1, 2).await));
    seen.push(format!("{:?}", records.question_changes(1, 2).await));
    seen
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..80)
}

fn check(cases: u32, test: impl Fn(Vec<Operation>)) {
    let config = ProptestConfig {
        cases,
        source_file: Some(file!()),
        test_name: Some("model"),
        ..ProptestConfig::default()
    };
    let outcome = TestRunner::new(config).run(&operations(), |operations| {
        test(operations);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn sqlite_does_what_plain_maps_do() {
    let runtime = Runtime::new().unwrap();
    check(48, |operations| {
        runtime.block_on(async {
            compare(&operations, &[&Sqlite::in_memory().await.unwrap()]).await;
        });
    });
}

#[test]
fn sqlite_and_postgres_answer_alike() {
    let runtime = Runtime::new().unwrap();
    let url = runtime.block_on(new_database());
    let options = PostgresOptions::new(&url).unwrap();
    let postgres = runtime.block_on(Postgres::open(&options)).unwrap();
    check(32, |operations| {
        runtime.block_on(async {
            empty(&url).await;
            compare(&operations, &[&Sqlite::in_memory().await.unwrap(), &postgres]).await;
        });
    });
}

/// Takes everything out of a database.
async fn empty(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(
        "TRUNCATE questions, analyses, learners, links, sessions, learner_states, snapshots,
             answer_ids, answers, outbox;
         SELECT setval('answers_sequence', 0), setval('outbox_sequence', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
}
