//! Sessions: begin, answer, end. What happens to an answer is told in ARCHITECTURE.md.

use std::sync::Arc;

use quizmentor_adaptive::{Learner, mastery};
use quizmentor_core::{
    AnswerId, LearnerId, Mode, PendingQuestion, Question, QuestionId, Response, Score, Session,
    SessionId, SkillId, TestPlan, Timestamp,
};
use quizmentor_store::{
    Error as StoreError,
    records::{Answer, AnswerCommit, CommitOutcome, Event, StoredAnswer, VersionedState},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    App, Problem,
    auth::erased,
    bank::Bank,
    choosing::{flow_of, json},
    context::{Context, outcome},
};

/// How often a change is tried anew when session or learner's state were changed meanwhile.
const TRIES: usize = 32;
/// Wished probabilities of success that practice accepts.
pub(crate) const TARGETS: std::ops::RangeInclusive<f64> = 0.5..=0.95;

/// What a new session shall be.
#[derive(Debug, Clone)]
pub(crate) struct NewSession {
    pub mode: Mode,
    pub subject: Option<String>,
    pub skills: Vec<SkillId>,
    pub target: Option<f64>,
    pub test: Option<TestPlan>,
}

/// An answer as it comes in.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub id: AnswerId,
    pub question: QuestionId,
    /// Positions as presented.
    pub response: Response,
    pub elapsed_ms: Option<u32>,
}

/// What became of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub answer: Answer,
    pub score: Score,
    pub question: Arc<Question>,
    /// Presented positions of the key, where options were presented.
    pub key_positions: Vec<u8>,
    /// Whether the answer counts.
    pub scored: bool,
    /// Whether the question was rewritten since the answer.
    pub changed: bool,
    /// Whether this answer had been given before.
    pub repeated: bool,
    /// Success on a typical item of the skill, before and after.
    pub progress: Option<(f64, f64)>,
    pub session: Session,
}

struct State {
    version: u64,
    learner: Learner,
}

impl App {
    /// Begins a session and chooses its first question.
    pub(crate) async fn begin(
        &self,
        learner: LearnerId,
        new: NewSession,
    ) -> Result<Session, Problem> {
        let now = self.clock.now();
        let mut session = Session {
            id: SessionId(Uuid::now_v7()),
            learner,
            mode: new.mode,
            subject: new.subject,
            skills: new.skills,
            target: new.target,
            started_at: now,
            ended_at: None,
            answered: 0,
            correct: 0,
            test: (new.mode == Mode::Test).then(|| new.test.unwrap_or_default()),
            asked: Vec::new(),
            outcomes: Vec::new(),
            measured: Value::Null,
            flow: Value::Null,
            pending: None,
            version: 1,
        };
        let state = self.state_of(learner).await?;
        self.choose_next(&self.bank(), &state.learner, &mut session, now)?;
        match self.hot.create_session(&session).await {
            Err(StoreError::NotFound("learner")) => Err(erased()),
            created => Ok(created.map(|()| session)?),
        }
    }

    /// A learner's own session.
    pub(crate) async fn session_of(
        &self,
        learner: LearnerId,
        id: SessionId,
    ) -> Result<Session, Problem> {
        let session = self.hot.session(id).await?;
        session
            .filter(|session| session.learner == learner)
            .ok_or_else(|| Problem::not_found(format!("You have no session {id}.")))
    }

    /// The session with a question on the table, if there is one to ask. A question that was
    /// taken out of the bank or changed meanwhile is replaced.
    pub(crate) async fn current(
        &self,
        learner: LearnerId,
        id: SessionId,
    ) -> Result<Session, Problem> {
        for _ in 0..TRIES {
            let mut session = self.session_of(learner, id).await?;
            let bank = Arc::clone(&self.bank());
            if session.pending.as_ref().is_none_or(|pending| is_answerable(&bank, pending)) {
                return Ok(session);
            }
            let state = self.state_of(learner).await?;
            self.choose_next(&bank, &state.learner, &mut session, self.clock.now())?;
            if self.store_next_version(&mut session).await? {
                return Ok(session);
            }
        }
        Err(changed_too_often())
    }

    /// Ends a session; one that has ended stays as it is.
    pub(crate) async fn end(&self, learner: LearnerId, id: SessionId) -> Result<Session, Problem> {
        for _ in 0..TRIES {
            let mut session = self.session_of(learner, id).await?;
            if session.ended_at.is_some() {
                return Ok(session);
            }
            self.close(&self.bank(), &mut session, self.clock.now())?;
            if self.store_next_version(&mut session).await? {
                return Ok(session);
            }
        }
        Err(changed_too_often())
    }

    /// `false` when the session was changed meanwhile.
    async fn store_next_version(&self, session: &mut Session) -> Result<bool, Problem> {
        session.version += 1;
        match self.hot.update_session(session).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Scores an answer, stores it with all that follows from it, and chooses the next question.
    /// Returned means stored.
    pub(crate) async fn answer(
        &self,
        learner: LearnerId,
        session: SessionId,
        submission: Submission,
    ) -> Result<Answered, Problem> {
        for tried in 0..TRIES {
            let again = tried > 0;
            if let Some(answered) = self.try_answer(learner, session, &submission, again).await? {
                return Ok(answered);
            }
        }
        Err(changed_too_often())
    }

    /// `None` when session or learner state were changed meanwhile. `anew` reads the state from
    /// the records, should the cache be unable to drop what it keeps.
    async fn try_answer(
        &self,
        learner: LearnerId,
        id: SessionId,
        submission: &Submission,
        anew: bool,
    ) -> Result<Option<Answered>, Problem> {
        let mut session = self.session_of(learner, id).await?;
        // That an answer which fits was given before is found when it is stored.
        if expected(&session, submission).is_err() {
            if let Some(stored) = self.records.answer(submission.id).await? {
                return self.repeated(stored, learner, id).await.map(Some);
            }
            self.hot.forget_session(id);
            session = self.session_of(learner, id).await?;
        }
        let bank = self.bank();
        let pending = expected(&session, submission)?.clone();
        if !is_unchanged(&bank, &pending) {
            return Err(Problem::conflict(
                "The question was changed meanwhile and does not count; ask for the next one.",
            ));
        }
        let question = find(&bank, &pending.question)?;
        let response = submission.response.clone().in_authors_order(&pending.order);
        let score = question
            .score(&response)
            .map_err(|error| Problem::invalid_field("response", error.to_string()))?;

        let now = self.clock.now();
        let mut state = if anew {
            State::of(self.records.learner_state(learner).await?)?
        } else {
            self.state_of(learner).await?
        };
        let before = skill_estimate(&bank, &state.learner, &question, now);
        let context = Context::new(&bank, &session, &pending, &question);
        let answer = Answer {
            id: submission.id,
            learner,
            session: id,
            question: question.id.clone(),
            skill: question.skill.clone(),
            response,
            credit: score.credit,
            correct: score.correct,
            elapsed_ms: submission.elapsed_ms,
            at: now,
            predicted: pending.predicted,
            propensity: pending.propensity,
            policy: policy_of(&pending),
            snapshot: bank.engine.model().version(),
            context: json(&context)?,
        };
        context.apply(&mut state.learner, bank.engine.model(), &outcome(&answer));
        let after = skill_estimate(&bank, &state.learner, &question, now);

        note(&mut session, &context, &pending, &score, submission.elapsed_ms)?;
        self.choose_next(&bank, &state.learner, &mut session, now)?;

        let commit = AnswerCommit {
            event: committed_event(&answer),
            answer,
            state: VersionedState { version: state.version + 1, bytes: state.learner.encode() },
            session,
        };
        match self.hot.commit_answer(&commit).await? {
            CommitOutcome::Committed { .. } => {
                metrics::counter!("quizmentor_answers_total").increment(1);
                Ok(Some(Answered {
                    key_positions: key_positions(&question, &pending.order),
                    answer: commit.answer,
                    score,
                    question,
                    scored: context.scored,
                    changed: false,
                    repeated: false,
                    progress: before.zip(after).filter(|_| context.scored),
                    session: commit.session,
                }))
            }
            CommitOutcome::Duplicate(stored) => self.repeated(*stored, learner, id).await.map(Some),
            CommitOutcome::Conflict => Ok(None),
        }
    }

    /// The result of an answer that was stored before, with the session as it is since then.
    async fn repeated(
        &self,
        stored: StoredAnswer,
        learner: LearnerId,
        id: SessionId,
    ) -> Result<Answered, Problem> {
        let context = Context::of(&stored);
        let answer = stored.answer;
        let session = self.session_of(learner, id).await?;
        if answer.learner != session.learner || answer.session != session.id {
            return Err(Problem::conflict("This answer id is taken; make a new one."));
        }
        let question = find(&self.bank(), &answer.question)?;
        let feedback = question.score(&answer.response).map(|score| score.feedback);
        let changed =
            !context.content.is_nil() && self.bank().content(&question.id) != Some(context.content);
        let feedback = feedback.ok().filter(|_| !changed).unwrap_or_default();
        let score = Score { credit: answer.credit, correct: answer.correct, feedback };
        Ok(Answered {
            answer,
            score,
            question,
            key_positions: Vec::new(),
            scored: context.scored,
            changed,
            repeated: true,
            progress: None,
            session,
        })
    }

    async fn state_of(&self, learner: LearnerId) -> Result<State, Problem> {
        State::of(self.hot.learner_state(learner).await?)
    }

    /// A learner's state, for reports.
    pub(crate) async fn learner(&self, id: LearnerId) -> Result<Learner, Problem> {
        Ok(State::of(self.records.learner_state(id).await?)?.learner)
    }
}

impl State {
    fn of(stored: Option<VersionedState>) -> Result<Self, Problem> {
        let Some(stored) = stored else {
            return Ok(Self { version: 0, learner: Learner::new() });
        };
        let learner = Learner::decode(&stored.bytes).map_err(|error| Problem::internal(&error))?;
        Ok(Self { version: stored.version, learner })
    }
}

/// Notes an answer in its session.
fn note(
    session: &mut Session,
    context: &Context,
    pending: &PendingQuestion,
    score: &Score,
    elapsed_ms: Option<u32>,
) -> Result<(), Problem> {
    session.version += 1;
    if session.mode == Mode::Test {
        session.outcomes.push(context.scored.then_some(score.correct));
    }
    if context.scored {
        session.answered += 1;
        session.correct += u32::from(score.correct);
    }
    if session.mode == Mode::Practice && context.scored {
        let usual = context.item.expected_ms;
        let flow = flow_of(session).after(score.credit, pending.predicted, elapsed_ms, usual);
        session.flow = json(&flow)?;
    }
    Ok(())
}

fn changed_too_often() -> Problem {
    Problem::conflict("Other answers of yours came in at the same time; send it again.")
}

/// Whether the question can still be asked just as it was shown.
fn is_answerable(bank: &Bank, pending: &PendingQuestion) -> bool {
    bank.engine.catalog().index_of(&pending.question).is_some() && is_unchanged(bank, pending)
}

/// Whether the question reads as it was shown; one archived meanwhile may still be answered.
fn is_unchanged(bank: &Bank, pending: &PendingQuestion) -> bool {
    bank.content(&pending.question) == Some(pending.content)
}

fn expected<'a>(
    session: &'a Session,
    submission: &Submission,
) -> Result<&'a PendingQuestion, Problem> {
    let Some(pending) = &session.pending else {
        return Err(Problem::conflict("The session has ended; begin a new one."));
    };
    if pending.question != submission.question {
        return Err(Problem::conflict(format!(
            "The session waits for an answer to {}, not to {}.",
            pending.question, submission.question
        )));
    }
    Ok(pending)
}

pub(crate) fn find(bank: &Bank, id: &QuestionId) -> Result<Arc<Question>, Problem> {
    bank.question(id)
        .cloned()
        .ok_or_else(|| Problem::conflict(format!("Question {id} is gone; ask for the next one.")))
}

fn skill_estimate(
    bank: &Bank,
    learner: &Learner,
    question: &Question,
    now: Timestamp,
) -> Option<f64> {
    mastery::success(&bank.engine, learner, &question.skill, now)
}

fn policy_of(pending: &PendingQuestion) -> String {
    pending.why["policy"].as_str().unwrap_or_default().to_owned()
}

fn key_positions(question: &Question, order: &[u8]) -> Vec<u8> {
    let keys = question.keys();
    (0u8..)
        .zip(order)
        .filter(|(_, original)| keys.get(usize::from(**original)) == Some(&true))
        .map(|(shown, _)| shown)
        .collect()
}

fn committed_event(answer: &Answer) -> Event {
    Event {
        kind: "answer.committed".to_owned(),
        payload: serde_json::json!({
            "answer": answer.id,
            "learner": answer.learner,
            "session": answer.session,
            "question": answer.question,
            "skill": answer.skill,
            "credit": answer.credit,
        }),
        at: answer.at,
    }
}
