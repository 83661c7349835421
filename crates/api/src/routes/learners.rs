//! What a learner can see of itself: mastery, reviews, answers.

use std::sync::Arc;

use axum::{Json, extract::State};
use quizmentor_adaptive::{Mastery, mastery, review};
use quizmentor_core::{AnswerId, QuestionId, SessionId, SkillId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, Problem, auth::AsLearner, extract::Query};

/// Answers on a page of a list, at most.
const PAGE: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(my_mastery))
        .routes(routes!(my_model))
        .routes(routes!(my_reviews))
        .routes(routes!(my_answers))
}

/// My mastery
///
/// Probability of success on a typical question, by skill and Bloom level, with 90 % intervals.
#[utoipa::path(
    get, path = "/v1/me/mastery", tag = "learner", security(("token" = [])),
    responses((status = 200, body = Mastery)),
)]
async fn my_mastery(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
) -> Result<Json<Mastery>, Problem> {
    let learner = app.learner(principal.learner).await?;
    Ok(Json(mastery(&app.bank().engine, &learner, app.clock.now())))
}

/// What the system believes of a learner.
#[derive(Serialize, ToSchema)]
struct OpenModel {
    /// Answers that it rests on.
    answers: u32,
    /// Overall ability in logits; 0 is the middle of the learners.
    ability: f64,
    /// Its standard deviation in logits. It narrows with each answer and widens with time.
    uncertainty: f64,
    /// Version of the model of the questions.
    model: u64,
    /// Mastery by skill and Bloom level, and what would change it.
    mastery: Mastery,
}

/// My learner model
///
/// All that choices rest on: ability and mastery with their uncertainty, and what would change
/// them.
#[utoipa::path(
    get, path = "/v1/me/model", tag = "learner", security(("token" = [])),
    responses((status = 200, body = OpenModel)),
)]
async fn my_model(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
) -> Result<Json<OpenModel>, Problem> {
    let learner = app.learner(principal.learner).await?;
    let (bank, now) = (app.bank(), app.clock.now());
    let ability = learner.ability(now);
    Ok(Json(OpenModel {
        answers: learner.answers(),
        ability: ability.mean.into(),
        uncertainty: f64::from(ability.variance).sqrt(),
        model: bank.engine.model().version(),
        mastery: mastery(&bank.engine, &learner, now),
    }))
}

/// Reviews that are due.
#[derive(Serialize, ToSchema)]
struct Reviews {
    /// The least retrievable first.
    due: Vec<DueReview>,
    /// When the next one falls due, those of `due` included; `null` when nothing was answered.
    next_due: Option<Timestamp>,
}

/// A question whose review is due.
#[derive(Serialize, ToSchema)]
struct DueReview {
    /// The question.
    question: QuestionId,
    /// Its skill.
    skill: SkillId,
    /// What it asks.
    stem: String,
    /// Probability that it is still remembered, 0 to 1.
    retrievability: f64,
    /// Since when it is due.
    since: Timestamp,
}

/// My reviews
///
/// Questions whose chance of being remembered has fallen to 90 %. A session in mode `review` asks
/// them.
#[utoipa::path(
    get, path = "/v1/me/reviews", tag = "learner", security(("token" = [])),
    responses((status = 200, body = Reviews)),
)]
async fn my_reviews(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
) -> Result<Json<Reviews>, Problem> {
    let learner = app.learner(principal.learner).await?;
    let bank = app.bank();
    let catalog = bank.engine.catalog();
    let due = review::due(catalog, &learner, app.clock.now())
        .into_iter()
        .filter_map(|due| {
            let question = bank.question(catalog.id(due.index))?;
            Some(DueReview {
                question: question.id.clone(),
                skill: question.skill.clone(),
                stem: question.stem.clone(),
                retrievability: due.retrievability,
                since: due.since,
            })
        })
        .collect();
    Ok(Json(Reviews { due, next_due: review::next_due(catalog, &learner) }))
}

/// Where a list goes on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AnswersQuery {
    /// Cursor: `next` of the page before.
    after: Option<u64>,
    /// Answers a page, 1 to 200.
    limit: Option<usize>,
}

/// A page of answers.
#[derive(Serialize, ToSchema)]
struct AnswerPage {
    /// In the order in which they were given.
    answers: Vec<PastAnswer>,
    /// Cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// An answer given.
#[derive(Serialize, ToSchema)]
struct PastAnswer {
    /// Its id.
    id: AnswerId,
    /// The session.
    session: SessionId,
    /// What was asked.
    question: QuestionId,
    /// Its skill.
    skill: SkillId,
    /// Share of the full credit, 0 to 1.
    credit: f64,
    /// Whether the credit is full.
    correct: bool,
    /// Probability of a right answer that had been predicted.
    predicted: f64,
    /// When it was given.
    at: Timestamp,
}

/// My answers
#[utoipa::path(
    get, path = "/v1/me/answers", tag = "learner", security(("token" = [])),
    params(AnswersQuery),
    responses((status = 200, body = AnswerPage), (status = 422, body = Problem)),
)]
async fn my_answers(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    Query(query): Query<AnswersQuery>,
) -> Result<Json<AnswerPage>, Problem> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(Problem::invalid_field("limit", format!("{limit} given; 1 to {PAGE}")));
    }
    let after = query.after.unwrap_or(0).min(i64::MAX as u64);
    let mut stored = app.records.answers_of(principal.learner, after, limit + 1).await?;
    let more = stored.len() > limit;
    stored.truncate(limit);
    let next = stored.last().filter(|_| more).map(|last| last.sequence);
    let answers = stored
        .into_iter()
        .map(|stored| PastAnswer {
            id: stored.answer.id,
            session: stored.answer.session,
            question: stored.answer.question,
            skill: stored.answer.skill,
            credit: stored.answer.credit,
            correct: stored.answer.correct,
            predicted: stored.answer.predicted,
            at: stored.answer.at,
        })
        .collect();
    Ok(Json(AnswerPage { answers, next }))
}
