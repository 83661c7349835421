//! Sessions: begin, look, answer, end.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use quizmentor_adaptive::{Why, select::Measurement};
use quizmentor_core::{
    AnswerId, LearnerId, Mode, PresentedQuestion, QuestionId, Response, Session, SessionId,
    SkillId, TestPlan, Timestamp, limits,
};
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, Problem,
    auth::AsLearner,
    bank::Bank,
    choosing::FlowView,
    extract::{self, Query},
    limiter,
    practice::{Answered, NewSession, Submission, TARGETS},
    problem::FieldError,
};

/// Sessions on a page of a list.
const PAGE: usize = 50;
/// Most skills that a session can be limited to.
const MAX_SKILLS: usize = 100;
/// Most quotas of a test's blueprint.
const MAX_QUOTAS: usize = 50;
/// Longest time for an answer that is believed, in milliseconds: a day.
const MAX_ELAPSED_MS: u64 = 86_400_000;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(begin, list))
        .routes(routes!(read))
        .routes(routes!(next))
        .routes(routes!(end))
        .routes(routes!(answer))
}

/// A session to begin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SessionRequest {
    /// How questions are chosen.
    #[serde(default)]
    mode: Mode,
    /// Subject slug; all subjects if absent.
    #[serde(default)]
    subject: Option<String>,
    /// Skills to stay within; all of the subject if empty.
    #[serde(default)]
    skills: Vec<SkillId>,
    /// Wished probability of success in practice, 0.5 to 0.95.
    #[serde(default)]
    target: Option<f64>,
    /// What a test asks and when it ends; for mode `test` only.
    #[serde(default)]
    test: Option<TestPlan>,
}

impl SessionRequest {
    fn check(&self, app: &App) -> Result<(), Problem> {
        let bank = app.bank();
        let mut errors = Vec::new();
        let mut error = |field: String, problem: String| errors.push(FieldError { field, problem });
        if let Some(subject) = self.subject.as_ref().filter(|subject| !bank.has_subject(subject)) {
            error("subject".into(), format!("there is no subject {subject}"));
        }
        if self.skills.len() > MAX_SKILLS {
            error("skills".into(), format!("{} given; at most {MAX_SKILLS}", self.skills.len()));
        }
        for (i, skill) in self.skills.iter().enumerate().take(MAX_SKILLS) {
            if !bank.has_skill(skill) {
                error(format!("skills[{i}]"), format!("there is no skill {skill}"));
            }
            if self.subject.as_ref().is_some_and(|subject| skill.subject() != subject) {
                error(format!("skills[{i}]"), format!("{skill} is of another subject"));
            }
        }
        if self.target.is_some_and(|target| !TARGETS.contains(&target)) {
            error("target".into(), "must be 0.5 to 0.95".into());
        }
        if self.test.is_some() && self.mode != Mode::Test {
            error("test".into(), "is for mode test only".into());
        }
        errors.extend(self.test.iter().flat_map(|plan| defects(plan, &bank)));
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
    }
}

/// Every reason why a test cannot be held so.
fn defects(plan: &TestPlan, bank: &Bank) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut check = |field: &str, sound: bool, problem: &str| {
        if !sound {
            errors.push(FieldError { field: format!("test.{field}"), problem: problem.into() });
        }
    };
    let within = |value: Option<f64>, low: f64, high: f64| {
        value.is_none_or(|value| value > low && value < high)
    };
    check("length", (1..=limits::TEST_LENGTH).contains(&plan.length), "must be 1 to 30");
    check("standard_error", within(plan.standard_error, 0.0, 1.0), "must be between 0 and 1");
    check("cut", within(plan.cut, 0.0, 1.0), "must be between 0 and 1");
    let exposure = within(plan.exposure, 0.0, 1.0) || plan.exposure == Some(1.0);
    check("exposure", exposure, "must be above 0 and at most 1");
    check("blueprint", plan.blueprint.len() <= MAX_QUOTAS, "at most 50 quotas");
    for (i, quota) in plan.blueprint.iter().enumerate().take(MAX_QUOTAS) {
        let share = quota.share > 0.0 && quota.share.is_finite();
        check(&format!("blueprint[{i}].share"), share, "must be above 0");
        let skill = quota.skill.as_ref().is_none_or(|skill| bank.has_skill(skill));
        check(&format!("blueprint[{i}].skill"), skill, "there is no such skill");
    }
    errors
}

/// A session.
#[derive(Serialize, ToSchema)]
struct SessionView {
    /// Its id.
    id: SessionId,
    /// How questions are chosen.
    mode: Mode,
    /// Subject slug; `null` means all.
    subject: Option<String>,
    /// Skills it stays within; empty means all of the subject.
    skills: Vec<SkillId>,
    /// Wished probability of success.
    target: Option<f64>,
    /// When it began.
    started_at: Timestamp,
    /// When it was ended, or found nothing more to ask.
    ended_at: Option<Timestamp>,
    /// Answers given.
    answered: u32,
    /// Answers fully right.
    correct: u32,
    /// What a test asks and when it ends; absent in other modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<TestPlan>,
    /// What a test has measured; absent in other modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    measurement: Option<Measurement>,
    /// Challenge against skill; absent in other modes than practice.
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<FlowView>,
    /// The question to answer; `null` when the session has ended.
    next: Option<NextQuestion>,
}

/// A question to answer, and why it was chosen.
#[derive(Serialize, ToSchema)]
struct NextQuestion {
    /// Without its key.
    question: PresentedQuestion,
    /// Whether its answer will count; that to a question on trial will not.
    scored: bool,
    /// The terms of the choice.
    why: Why,
}

impl App {
    fn next_question(&self, session: &Session) -> Option<NextQuestion> {
        let pending = session.pending.as_ref()?;
        let question = self.bank().question(&pending.question)?.present(&pending.order);
        let why = Why::deserialize(&*pending.why).ok()?;
        Some(NextQuestion { question, scored: !pending.pilot, why })
    }

    fn view(&self, session: Session) -> SessionView {
        SessionView {
            next: self.next_question(&session),
            measurement: self.measurement(&session),
            flow: FlowView::of(&session),
            test: session.test,
            id: session.id,
            mode: session.mode,
            subject: session.subject,
            skills: session.skills,
            target: session.target,
            started_at: session.started_at,
            ended_at: session.ended_at,
            answered: session.answered,
            correct: session.correct,
        }
    }
}

/// Begin a session
///
/// Chooses the first question. A session that finds nothing to ask has ended at once; in review
/// mode this means that nothing is due.
#[utoipa::path(
    post, path = "/v1/sessions", tag = "practice", security(("token" = [])),
    request_body = SessionRequest,
    responses((status = 201, body = SessionView), (status = 422, body = Problem)),
)]
async fn begin(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    extract::Json(request): extract::Json<SessionRequest>,
) -> Result<(StatusCode, Json<SessionView>), Problem> {
    request.check(&app)?;
    app.limit_learner(limiter::ANSWERS, principal.learner).await?;
    let SessionRequest { mode, subject, skills, target, test } = request;
    let new = NewSession { mode, subject, skills, target, test };
    let session = app.begin(principal.learner, new).await?;
    Ok((StatusCode::CREATED, Json(app.view(session))))
}

/// Where a list goes on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Cursor: `next` of the page before.
    after: Option<SessionId>,
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
struct SessionPage {
    /// The latest first.
    sessions: Vec<SessionView>,
    /// Cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<SessionId>,
}

/// List my sessions
#[utoipa::path(
    get, path = "/v1/sessions", operation_id = "list_sessions",
    tag = "practice", security(("token" = [])), params(ListQuery),
    responses((status = 200, body = SessionPage)),
)]
async fn list(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    Query(query): Query<ListQuery>,
) -> Result<Json<SessionPage>, Problem> {
    let page = app.records.sessions_of(principal.learner, query.after, PAGE).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| last.id);
    let sessions = page.items.into_iter().map(|session| app.view(session)).collect();
    Ok(Json(SessionPage { sessions, next }))
}

/// Look at a session
#[utoipa::path(
    get, path = "/v1/sessions/{id}", operation_id = "read_session",
    tag = "practice", security(("token" = [])),
    params(("id" = SessionId, Path)),
    responses((status = 200, body = SessionView), (status = 404, body = Problem)),
)]
async fn read(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    extract::Path(id): extract::Path<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    let session = app.current(principal.learner, id).await?;
    Ok(Json(app.view(session)))
}

/// What to answer next.
#[derive(Serialize, ToSchema)]
struct NextReply {
    /// `null` when the session has ended.
    next: Option<NextQuestion>,
}

/// The next question
///
/// The same until it is answered.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/next", tag = "practice", security(("token" = [])),
    params(("id" = SessionId, Path)),
    responses((status = 200, body = NextReply), (status = 404, body = Problem)),
)]
async fn next(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    extract::Path(id): extract::Path<SessionId>,
) -> Result<impl IntoResponse, Problem> {
    let revision = app.bank().revision;
    let reply = match app.hot.reply(principal.learner, id, revision) {
        Some(reply) => reply,
        None => {
            let session = app.current(principal.learner, id).await?;
            let reply = NextReply { next: app.next_question(&session) };
            let reply = serde_json::to_vec(&reply).map_err(|error| Problem::internal(&error))?;
            let reply = Bytes::from(reply);
            app.hot.keep_reply(&session, revision, reply.clone());
            reply
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], reply))
}

/// End a session
#[utoipa::path(
    post, path = "/v1/sessions/{id}/end", tag = "practice", security(("token" = [])),
    params(("id" = SessionId, Path)),
    responses((status = 200, body = SessionView), (status = 404, body = Problem)),
)]
async fn end(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    extract::Path(id): extract::Path<SessionId>,
) -> Result<Json<SessionView>, Problem> {
    let session = app.end(principal.learner, id).await?;
    Ok(Json(app.view(session)))
}

/// An answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AnswerRequest {
    /// Made by the client. Sent again with the same id, the answer counts once.
    id: AnswerId,
    /// The question that is answered: that of `next`.
    question: QuestionId,
    /// What was answered, by kind of question; positions are those presented.
    response: Response,
    /// Milliseconds from showing the question to the answer.
    #[serde(default)]
    elapsed_ms: Option<u64>,
}

/// An answer's result.
#[derive(Serialize, ToSchema)]
struct AnswerReply {
    /// The answer and the key.
    answer: AnswerView,
    /// How it moved the estimate; absent for a repeated answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    /// The session with its next question.
    session: SessionView,
}

/// An answer and the key.
#[derive(Serialize, ToSchema)]
struct AnswerView {
    /// Its id.
    id: AnswerId,
    /// What was asked.
    question: QuestionId,
    /// Whether the credit is full.
    correct: bool,
    /// Share of the full credit, 0 to 1.
    credit: f64,
    /// On what was chosen.
    feedback: String,
    /// The key in words.
    key: Vec<String>,
    /// Positions of the key among the options presented; empty for a repeated answer.
    key_positions: Vec<u8>,
    /// Why the key is right.
    explanation: String,
    /// When it was given.
    at: Timestamp,
    /// Whether it counts; an answer to a question on trial does not.
    scored: bool,
    /// Whether it had been sent before, and counted then.
    repeated: bool,
    /// Whether the question was rewritten since; then key and explanation are left out, for they
    /// belong to another question.
    changed: bool,
}

/// Success on a typical question of a skill.
#[derive(Serialize, ToSchema)]
struct Progress {
    /// The skill.
    skill: SkillId,
    /// As people write it.
    skill_name: String,
    /// Probability before the answer.
    before: f64,
    /// Probability after it.
    after: f64,
}

impl AnswerView {
    fn of(answered: &Answered) -> Self {
        Self {
            id: answered.answer.id,
            question: answered.answer.question.clone(),
            correct: answered.score.correct,
            credit: answered.score.credit,
            feedback: answered.score.feedback.clone(),
            key: if answered.changed { Vec::new() } else { answered.question.key_text() },
            key_positions: answered.key_positions.clone(),
            explanation: if answered.changed {
                String::new()
            } else {
                answered.question.explanation.clone()
            },
            at: answered.answer.at,
            scored: answered.scored,
            changed: answered.changed,
            repeated: answered.repeated,
        }
    }
}

/// Answer
///
/// Acknowledged means stored: the answer survives a crash of the server at any moment. Send it
/// again with the same id when in doubt.
#[utoipa::path(
    post, path = "/v1/sessions/{id}/answers", tag = "practice", security(("token" = [])),
    params(("id" = SessionId, Path)), request_body = AnswerRequest,
    responses(
        (status = 200, body = AnswerReply),
        (status = 404, body = Problem),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
        (status = 429, body = Problem),
    ),
)]
async fn answer(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    extract::Path(id): extract::Path<SessionId>,
    extract::Json(request): extract::Json<AnswerRequest>,
) -> Result<Json<AnswerReply>, Problem> {
    app.limit_learner(limiter::ANSWERS, principal.learner).await?;
    let submission = Submission {
        id: request.id,
        question: request.question,
        response: request.response,
        elapsed_ms: request.elapsed_ms.map(|ms| ms.min(MAX_ELAPSED_MS) as u32),
    };
    let answered = to_the_end(&app, principal.learner, id, submission).await?;
    let answer = AnswerView::of(&answered);
    let progress = answered.progress.map(|(before, after)| Progress {
        skill: answered.question.skill.clone(),
        skill_name: answered.question.skill_name.clone(),
        before,
        after,
    });
    Ok(Json(AnswerReply { answer, progress, session: app.view(answered.session) }))
}

/// Runs on even if the client has gone.
async fn to_the_end(
    app: &Arc<App>,
    learner: LearnerId,
    session: SessionId,
    submission: Submission,
) -> Result<Answered, Problem> {
    let app = Arc::clone(app);
    tokio::spawn(async move { app.answer(learner, session, submission).await }.in_current_span())
        .await
        .map_err(|error| Problem::internal(&error))?
}
