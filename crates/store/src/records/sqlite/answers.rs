//! Answers and the transaction that stores one.

use quizmentor_core::{AnswerId, LearnerId, QuestionId, SessionId, SkillId};
use sqlx::{SqliteConnection, SqliteExecutor, SqlitePool};

use super::{
    encoding::{cursor, from_int, from_json, refused, rows, time, to_int, to_json, uuid},
    outbox, sessions, snapshots,
};
use crate::{
    Error, Result,
    records::{Answer, AnswerCommit, CommitOutcome, MAX_POLICY, StoredAnswer},
};

/// Leaves the transaction to be rolled back unless all was stored.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    commit: &AnswerCommit,
) -> Result<CommitOutcome> {
    let AnswerCommit { answer, session, state, event } = commit;
    if let Some(stored) = get(&mut *connection, answer.id).await? {
        return if stored.answer.learner == answer.learner {
            Ok(CommitOutcome::Duplicate(Box::new(stored)))
        } else {
            Err(Error::Conflict("answer id"))
        };
    }
    check(commit)?;
    match sessions::update(&mut *connection, session).await {
        Err(Error::Conflict(_)) => return Ok(CommitOutcome::Conflict),
        updated => updated?,
    }
    if !snapshots::advance_state(&mut *connection, answer.learner, state).await? {
        return Ok(CommitOutcome::Conflict);
    }
    let sequence = insert(&mut *connection, answer).await?;
    outbox::append(connection, event).await?;
    Ok(CommitOutcome::Committed { sequence })
}

fn check(commit: &AnswerCommit) -> Result<()> {
    let AnswerCommit { answer, session, .. } = commit;
    if (answer.learner, answer.session) != (session.learner, session.id) {
        return Err(Error::invalid("session", "is not the one of the answer"));
    }
    for (what, value) in [("credit", answer.credit), ("predicted", answer.predicted)] {
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::invalid(what, format!("{value} is not in 0 to 1")));
        }
    }
    if !(answer.propensity > 0.0 && answer.propensity <= 1.0) {
        return Err(Error::invalid(
            "propensity",
            format!("{} is not above 0 and at most 1", answer.propensity),
        ));
    }
    if answer.policy.len() > MAX_POLICY {
        return Err(Error::invalid(
            "policy",
            format!("{} bytes long; at most {MAX_POLICY} are allowed", answer.policy.len()),
        ));
    }
    Ok(())
}

async fn insert(connection: &mut SqliteConnection, answer: &Answer) -> Result<u64> {
    let inserted = sqlx::query(
        "INSERT INTO answers (id, learner, session, question, skill, response, credit, correct,
                              elapsed_ms, at, predicted, propensity, policy, snapshot, context)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(answer.id.0.as_bytes().as_slice())
    .bind(answer.learner.0.as_bytes().as_slice())
    .bind(answer.session.0.as_bytes().as_slice())
    .bind(answer.question.as_str())
    .bind(answer.skill.as_str())
    .bind(to_json("response", &answer.response)?)
    .bind(answer.credit)
    .bind(answer.correct)
    .bind(answer.elapsed_ms)
    .bind(answer.at.as_microsecond())
    .bind(answer.predicted)
    .bind(answer.propensity)
    .bind(&answer.policy)
    .bind(to_int("snapshot", answer.snapshot)?)
    .bind(to_json("context", &answer.context)?)
    .execute(connection)
    .await
    .map_err(|e| refused(e, "answer id", "question"))?;
    from_int("sequence", inserted.last_insert_rowid())
}

#[derive(sqlx::FromRow)]
struct Row {
    sequence: i64,
    id: Vec<u8>,
    learner: Vec<u8>,
    session: Vec<u8>,
    question: String,
    skill: String,
    response: String,
    credit: f64,
    correct: bool,
    elapsed_ms: Option<i64>,
    at: i64,
    predicted: f64,
    propensity: f64,
    policy: String,
    snapshot: i64,
    context: String,
}

impl Row {
    fn decode(self) -> Result<StoredAnswer> {
        let answer = Answer {
            id: AnswerId(uuid("id of an answer", &self.id)?),
            learner: LearnerId(uuid("learner of an answer", &self.learner)?),
            session: SessionId(uuid("session of an answer", &self.session)?),
            question: QuestionId::new(self.question)
                .map_err(|e| Error::corrupt("question of an answer", e))?,
            skill: SkillId::new(self.skill).map_err(|e| Error::corrupt("skill of an answer", e))?,
            response: from_json("response", &self.response)?,
            credit: self.credit,
            correct: self.correct,
            elapsed_ms: self.elapsed_ms.map(|ms| from_int("elapsed_ms", ms)).transpose()?,
            at: time("time of an answer", self.at)?,
            predicted: self.predicted,
            propensity: self.propensity,
            policy: self.policy,
            snapshot: from_int("snapshot of an answer", self.snapshot)?,
            context: from_json("context of an answer", &self.context)?,
        };
        Ok(StoredAnswer { sequence: from_int("sequence", self.sequence)?, answer })
    }
}

pub(super) async fn get(
    executor: impl SqliteExecutor<'_>,
    id: AnswerId,
) -> Result<Option<StoredAnswer>> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM answers WHERE id = ?")
        .bind(id.0.as_bytes().as_slice())
        .fetch_optional(executor)
        .await?;
    row.map(Row::decode).transpose()
}

pub(super) async fn of_learner(
    pool: &SqlitePool,
    learner: LearnerId,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<StoredAnswer>> {
    let found: Vec<Row> = sqlx::query_as(
        "SELECT * FROM answers WHERE learner = ? AND sequence > ? ORDER BY sequence LIMIT ?",
    )
    .bind(learner.0.as_bytes().as_slice())
    .bind(cursor(after_sequence))
    .bind(rows(limit))
    .fetch_all(pool)
    .await?;
    found.into_iter().map(Row::decode).collect()
}

pub(super) async fn after(
    pool: &SqlitePool,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<StoredAnswer>> {
    let found: Vec<Row> =
        sqlx::query_as("SELECT * FROM answers WHERE sequence > ? ORDER BY sequence LIMIT ?")
            .bind(cursor(after_sequence))
            .bind(rows(limit))
            .fetch_all(pool)
            .await?;
    found.into_iter().map(Row::decode).collect()
}
