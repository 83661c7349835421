//! The question bank, for authors: list, write, import, export, search.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use quizmentor_core::{Level, Question, QuestionId, SkillId, Status, ids::slug, limits};
use quizmentor_formats::{Defaults, gift};
use quizmentor_store::{
    records::{Put, QuestionFilter},
    vectors::{Hit, VectorFilter},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, Problem,
    auth::AsAuthor,
    extract::{self, Query},
    problem::FieldError,
};

/// Questions on a page of a list, unless asked otherwise.
const PAGE: usize = 50;
/// Most questions on a page.
const MAX_PAGE: usize = 500;
/// Cosine similarity from which two questions count as near-duplicates.
const NEAR_DUPLICATE: f32 = 0.9;
/// Near-duplicates shown of one question at most.
const NEAR_DUPLICATES: usize = 100;
/// Cosine similarity from which two questions count as related.
const RELATED: f32 = 0.5;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(search))
        .routes(routes!(import))
        .routes(routes!(export))
        .routes(routes!(read, write, archive))
        .routes(routes!(similar))
        .routes(routes!(related))
}

/// Which questions are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Subject slug.
    subject: Option<String>,
    /// Skill, `subject/skill`.
    skill: Option<SkillId>,
    /// Bloom level that the author states.
    level: Option<Level>,
    /// Status.
    status: Option<Status>,
    /// Occurs in title, stem or tags.
    text: Option<String>,
    /// Cursor: `next` of the page before.
    after: Option<QuestionId>,
    /// Questions a page, 1 to 500.
    limit: Option<usize>,
}

/// A page of questions.
#[derive(Serialize, ToSchema)]
struct QuestionPage {
    /// In order of their ids.
    questions: Vec<Question>,
    /// Cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<QuestionId>,
}

/// List questions
#[utoipa::path(
    get, path = "/v1/questions", operation_id = "list_questions",
    tag = "bank", security(("token" = [])), params(ListQuery),
    responses((status = 200, body = QuestionPage), (status = 403, body = Problem)),
)]
async fn list(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    Query(query): Query<ListQuery>,
) -> Result<Json<QuestionPage>, Problem> {
    let limit = page_size(query.limit, PAGE)?;
    if query.subject.as_ref().is_some_and(|subject| subject.contains('\0')) {
        return Err(Problem::invalid_field("subject", "holds the character U+0000"));
    }
    let filter = QuestionFilter {
        subject: query.subject,
        skill: query.skill,
        level: query.level,
        status: query.status,
        text: query.text,
    };
    let page = app.records.questions(&filter, query.after.as_ref(), limit).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| last.id.clone());
    Ok(Json(QuestionPage { questions: page.items, next }))
}

fn page_size(wanted: Option<usize>, default: usize) -> Result<usize, Problem> {
    match wanted.unwrap_or(default) {
        size @ 1..=MAX_PAGE => Ok(size),
        size => Err(Problem::invalid_field("limit", format!("{size} given; 1 to {MAX_PAGE}"))),
    }
}

/// Read a question
#[utoipa::path(
    get, path = "/v1/questions/{id}", operation_id = "read_question",
    tag = "bank", security(("token" = [])),
    params(("id" = String, Path)),
    responses((status = 200, body = Question), (status = 404, body = Problem)),
)]
async fn read(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    extract::Path(id): extract::Path<QuestionId>,
) -> Result<Json<Question>, Problem> {
    let question = app.records.question(&id).await?;
    question.map(Json).ok_or_else(|| unknown(&id))
}

fn unknown(id: &QuestionId) -> Problem {
    Problem::not_found(format!("There is no question {id}."))
}

/// Write a question
///
/// Creates it, or replaces the one with this id.
#[utoipa::path(
    put, path = "/v1/questions/{id}", tag = "bank", security(("token" = [])),
    params(("id" = String, Path)), request_body = Question,
    responses(
        (status = 200, body = Question, description = "Replaced"),
        (status = 201, body = Question, description = "Created"),
        (status = 422, body = Problem),
    ),
)]
async fn write(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    extract::Path(id): extract::Path<QuestionId>,
    extract::Json(question): extract::Json<Question>,
) -> Result<(StatusCode, Json<Question>), Problem> {
    let mut errors: Vec<_> = question.defects().into_iter().map(FieldError::from).collect();
    if question.id != id {
        let problem = format!("is {}, but the path says {id}", question.id);
        errors.push(FieldError { field: "id".into(), problem });
    }
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let put = app.put_questions(std::slice::from_ref(&question)).await?;
    let status = if put.created > 0 { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(question)))
}

/// Archive a question
///
/// Takes it out of practice. Answers to it stay.
#[utoipa::path(
    delete, path = "/v1/questions/{id}", tag = "bank", security(("token" = [])),
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)),
)]
async fn archive(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    extract::Path(id): extract::Path<QuestionId>,
) -> Result<StatusCode, Problem> {
    let mut question = app.records.question(&id).await?.ok_or_else(|| unknown(&id))?;
    question.status = Status::Archived;
    app.put_questions(&[question]).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where questions go whose text names no category.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ImportQuery {
    /// Subject of questions before the first `$CATEGORY`, as people write it.
    subject: Option<String>,
    /// Their skill.
    skill: Option<String>,
}

/// What an import did.
#[derive(Serialize, ToSchema)]
struct ImportReply {
    /// Questions that are new.
    created: usize,
    /// Questions that were replaced because they differ.
    updated: usize,
    /// Questions that were in the bank just so.
    unchanged: usize,
    /// What could not be imported; the rest was.
    problems: Vec<ImportProblem>,
}

/// A mistake in an imported text.
#[derive(Serialize, ToSchema)]
struct ImportProblem {
    /// From 1.
    line: u32,
    /// From 1.
    column: u32,
    /// What is wrong and what to do.
    message: String,
}

/// Import questions
///
/// Takes GIFT text (UTF-8, `Content-Type: text/plain`, up to 4 MB). Questions with a known id
/// replace the old ones; a mistake in one question does not keep out the others.
#[utoipa::path(
    post, path = "/v1/questions/import", tag = "bank", security(("token" = [])),
    params(ImportQuery), request_body(content = String, content_type = "text/plain"),
    responses(
        (status = 200, body = ImportReply),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
    ),
)]
async fn import(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    Query(query): Query<ImportQuery>,
    extract::Text(text): extract::Text,
) -> Result<Json<ImportReply>, Problem> {
    let name = |given: Option<String>, field: &str| match given {
        Some(name) if slug(&name).is_empty() => {
            Err(Problem::invalid_field(field, "needs at least one letter or digit"))
        }
        name => Ok(name.unwrap_or_else(|| "General".to_owned())),
    };
    let defaults =
        Defaults { subject: name(query.subject, "subject")?, skill: name(query.skill, "skill")? };
    let imported = tokio::task::spawn_blocking(move || gift::parse(&text, &defaults))
        .await
        .map_err(|error| Problem::internal(&error))?;
    let Put { created, updated } = app.put_questions(&imported.questions).await?;
    let problems = imported
        .problems
        .into_iter()
        .map(|p| ImportProblem { line: p.line, column: p.column, message: p.message })
        .collect();
    let unchanged = imported.questions.len() - created - updated;
    Ok(Json(ImportReply { created, updated, unchanged, problems }))
}

/// What to export.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// Subject slug; all subjects if absent.
    subject: Option<String>,
}

/// Export questions
///
/// Gives all questions that are not archived as GIFT text.
#[utoipa::path(
    get, path = "/v1/questions/export", tag = "bank", security(("token" = [])),
    params(ExportQuery),
    responses((status = 200, body = String, content_type = "text/plain")),
)]
async fn export(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    Query(query): Query<ExportQuery>,
) -> Result<impl IntoResponse, Problem> {
    let bank = app.bank();
    let mut questions: Vec<_> = bank
        .questions
        .values()
        .filter(|question| question.status != Status::Archived)
        .filter(|question| query.subject.as_ref().is_none_or(|s| question.subject() == s))
        .map(|question| question.as_ref().clone())
        .collect();
    questions.sort_by(|a, b| (&a.skill, &a.id).cmp(&(&b.skill, &b.id)));
    let text = gift::print(&questions);
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text))
}

/// What to search for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// Words, a question, a topic.
    q: String,
    /// Subject slug.
    subject: Option<String>,
    /// Skill, `subject/skill`.
    skill: Option<SkillId>,
    /// Bloom level that the author states.
    level: Option<Level>,
    /// ISO 639-3 code of the language that the stem seems to be written in.
    language: Option<String>,
    /// Status.
    status: Option<Status>,
    /// How many, 1 to 500.
    limit: Option<usize>,
}

/// A question found.
#[derive(Serialize, ToSchema)]
struct Found {
    /// Cosine similarity, −1 to 1.
    similarity: f32,
    /// The question.
    question: Question,
}

/// Questions found, the most similar first.
#[derive(Serialize, ToSchema)]
struct SearchReply {
    /// The most similar first.
    found: Vec<Found>,
}

/// Search by meaning
#[utoipa::path(
    get, path = "/v1/questions/search", tag = "bank", security(("token" = [])),
    params(SearchQuery),
    responses((status = 200, body = SearchReply), (status = 422, body = Problem)),
)]
async fn search(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    Query(query): Query<SearchQuery>,
) -> Result<Json<SearchReply>, Problem> {
    let limit = page_size(query.limit, 10)?;
    if query.q.trim().is_empty() || query.q.len() > limits::CLASSIFY_TEXT {
        let problem = format!("must be 1 to {} bytes long", limits::CLASSIFY_TEXT);
        return Err(Problem::invalid_field("q", problem));
    }
    let text = query.q;
    let vector = app.compute.run(move |engine| engine.embed(&[&text]).remove(0)).await?;
    if vector.iter().all(|&number| number == 0.0) {
        return Ok(Json(SearchReply { found: Vec::new() }));
    }
    let SearchQuery { subject, skill, level, language, status, .. } = query;
    let filter = VectorFilter { subject, skill, level, language, status };
    let hits = app.vectors.search(&vector, &filter, limit).await?;
    Ok(Json(SearchReply { found: app.found(hits) }))
}

/// Similar questions
///
/// Gives the near-duplicates of a question: those whose meaning is so close that a learner may
/// take them for the same.
#[utoipa::path(
    get, path = "/v1/questions/{id}/similar", tag = "bank", security(("token" = [])),
    params(("id" = String, Path)),
    responses((status = 200, body = SearchReply), (status = 404, body = Problem)),
)]
async fn similar(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    extract::Path(id): extract::Path<QuestionId>,
) -> Result<Json<SearchReply>, Problem> {
    let hits = app.vectors.near(&id, NEAR_DUPLICATE, NEAR_DUPLICATES).await?;
    Ok(Json(SearchReply { found: app.found(hits) }))
}

/// How many questions are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RelatedQuery {
    /// How many, 1 to 500.
    limit: Option<usize>,
}

/// Related questions
///
/// Gives the questions on the same matter, the nearest in meaning first.
#[utoipa::path(
    get, path = "/v1/questions/{id}/related", tag = "bank", security(("token" = [])),
    params(("id" = String, Path), RelatedQuery),
    responses((status = 200, body = SearchReply), (status = 404, body = Problem)),
)]
async fn related(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    extract::Path(id): extract::Path<QuestionId>,
    Query(query): Query<RelatedQuery>,
) -> Result<Json<SearchReply>, Problem> {
    let limit = page_size(query.limit, 10)?;
    let hits = app.vectors.near(&id, RELATED, limit).await?;
    Ok(Json(SearchReply { found: app.found(hits) }))
}

impl App {
    fn found(&self, hits: Vec<Hit>) -> Vec<Found> {
        let bank = self.bank();
        hits.into_iter()
            .filter_map(|hit| {
                let question = bank.question(&hit.id)?.as_ref().clone();
                Some(Found { similarity: hit.similarity, question })
            })
            .collect()
    }
}
