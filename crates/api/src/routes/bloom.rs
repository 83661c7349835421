//! Bloom classification and validation of questions.

use std::sync::Arc;

use axum::{Json, extract::State};
use quizmentor_bloom::{Classification, Explanation, Validation};
use quizmentor_core::{Question, limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, Problem, auth::AsLearner, extract, limiter, problem::FieldError};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(classify)).routes(routes!(validate))
}

/// Texts to classify.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClassifyRequest {
    /// 1 to 64 questions or learning objectives of at most 10,000 bytes each.
    texts: Vec<String>,
    /// Whether to say which words moved the level; for one text at a time.
    #[serde(default)]
    explain: bool,
}

/// Their levels.
#[derive(Serialize, ToSchema)]
struct ClassifyReply {
    /// Version of the model.
    model: String,
    /// In the order of the texts.
    results: Vec<Classification>,
    /// How much each word speaks for the level, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

impl ClassifyRequest {
    fn check(&self) -> Result<(), Problem> {
        let count = self.texts.len();
        if count == 0 || count > limits::CLASSIFY_BATCH {
            let most = limits::CLASSIFY_BATCH;
            return Err(Problem::invalid_field(
                "texts",
                format!("{count} given; send 1 to {most}"),
            ));
        }
        if self.explain && count > 1 {
            return Err(Problem::invalid_field("explain", "one text at a time is explained"));
        }
        let errors: Vec<_> = self
            .texts
            .iter()
            .enumerate()
            .filter(|(_, text)| text.len() > limits::CLASSIFY_TEXT)
            .map(|(i, text)| FieldError {
                field: format!("texts[{i}]"),
                problem: format!(
                    "{} bytes long; at most {} are allowed",
                    text.len(),
                    limits::CLASSIFY_TEXT
                ),
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
    }
}

/// Classify texts
///
/// Gives each question or learning objective its levels of Bloom's revised taxonomy, with
/// calibrated probabilities.
#[utoipa::path(
    post, path = "/v1/bloom/classify", tag = "bloom", security(("token" = [])),
    request_body = ClassifyRequest,
    responses(
        (status = 200, body = ClassifyReply),
        (status = 422, body = Problem),
        (status = 429, body = Problem),
    ),
)]
async fn classify(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    extract::Json(request): extract::Json<ClassifyRequest>,
) -> Result<Json<ClassifyReply>, Problem> {
    request.check()?;
    app.limit_learner(limiter::CLASSIFICATIONS, principal.learner).await?;
    let explanation = match request.texts.first().filter(|_| request.explain).cloned() {
        Some(text) => Some(app.compute.run(move |engine| engine.explain(&text)).await?),
        None => None,
    };
    let results = app.compute.classify(request.texts).await?;
    let model = app.compute.model_version().to_owned();
    Ok(Json(ClassifyReply { model, results, explanation }))
}

/// What the engine says of a question.
#[derive(Serialize, ToSchema)]
struct ValidateReply {
    /// Version of the model.
    model: String,
    /// Mistakes that keep the question out of the bank.
    defects: Vec<FieldError>,
    /// Its level, and the flaws of its craft.
    #[serde(flatten)]
    validation: Validation,
}

/// Validate a question
///
/// Classifies it, compares that with the author's level, and checks its craft. Nothing is stored.
#[utoipa::path(
    post, path = "/v1/bloom/validate", tag = "bloom", security(("token" = [])),
    request_body = Question,
    responses((status = 200, body = ValidateReply), (status = 422, body = Problem)),
)]
async fn validate(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    extract::Json(question): extract::Json<Question>,
) -> Result<Json<ValidateReply>, Problem> {
    app.limit_learner(limiter::CLASSIFICATIONS, principal.learner).await?;
    let defects = question.defects().into_iter().map(FieldError::from).collect();
    let validation = app.compute.run(move |engine| engine.validate(&question)).await?;
    Ok(Json(ValidateReply { model: app.compute.model_version().to_owned(), defects, validation }))
}
