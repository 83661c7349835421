//! How the questions do, for authors: difficulty, discrimination, exposure, options, drift.

use std::sync::Arc;

use axum::{Json, extract::State};
use quizmentor_adaptive::{
    ItemKey,
    calibration::{Counts, ItemReport},
};
use quizmentor_core::{Question, QuestionId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, Problem,
    auth::AsAuthor,
    bank::Bank,
    extract::{self, Query},
};

/// Questions on a page of the list.
const PAGE: usize = 50;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(of_question)).routes(routes!(flagged))
}

/// How a question does.
#[derive(Serialize, ToSchema)]
struct Calibration {
    /// The question.
    question: QuestionId,
    /// Ability in logits at which a right answer by knowledge is even; 0 is the middle of the
    /// learners.
    difficulty: f64,
    /// Standard deviation of `difficulty` in logits.
    difficulty_error: f64,
    /// How steeply the chance of a right answer grows with ability; 1 is usual, below 0.5 weak.
    discrimination: f64,
    /// Probability that a guess is right.
    guess: f64,
    /// Answers that difficulty and discrimination were learned from, to earlier wordings too.
    answers_learned: u32,
    /// Share of the tests that showed it, 0 to 1; absent before the first test.
    exposure: Option<f64>,
    /// What the answers to its present wording say.
    #[serde(flatten)]
    report: ItemReport,
    /// What should be looked at.
    flags: Vec<Flag>,
}

/// Something that an author should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Flag {
    /// Stronger learners choose a distractor rather than the key: the key looks wrong.
    KeySuspect,
    /// Recent answers are clearly better or worse than predicted.
    Drift,
    /// It hardly tells strong learners from weak ones.
    WeakDiscrimination,
}

/// A question that should be looked at.
#[derive(Serialize, ToSchema)]
struct FlaggedQuestion {
    /// What it asks.
    stem: String,
    /// How it does.
    calibration: Calibration,
}

/// Fewer answers flag nothing but a wrong key.
const ENOUGH: u32 = 30;
/// Discrimination below this is weak.
const WEAK: f64 = 0.5;
/// Standard deviations from which an item has drifted.
const DRIFTED: f64 = 3.0;

impl Calibration {
    /// `None` for a question that learners cannot get.
    fn of(bank: &Bank, question: &Question) -> Option<Self> {
        let (model, key) = (bank.engine.model(), ItemKey::from(&question.id));
        let item = bank.engine.catalog().item(&question.id)?;
        let difficulty = model.difficulty(item);
        let exposure = &bank.statistics.exposure;
        let content = bank.content(&question.id)?;
        let counts = bank.statistics.item(key, content.as_u128());
        let report = counts.unwrap_or(&Counts::default()).report(&question.keys());
        let discrimination = model.discrimination(item);
        Some(Self {
            flags: flags(&report, discrimination),
            question: question.id.clone(),
            difficulty: f64::from(difficulty.mean - model.mean_difficulty()),
            difficulty_error: f64::from(difficulty.variance).sqrt(),
            discrimination,
            guess: item.guess.into(),
            answers_learned: model.item_answers(key),
            exposure: (exposure.tests() > 0)
                .then(|| f64::from(exposure.shown(key)) / f64::from(exposure.tests())),
            report,
        })
    }
}

fn flags(report: &ItemReport, discrimination: f64) -> Vec<Flag> {
    let enough = report.answers >= ENOUGH;
    [
        (report.key_suspect.is_some(), Flag::KeySuspect),
        (enough && report.drift.abs() >= DRIFTED, Flag::Drift),
        (enough && discrimination < WEAK, Flag::WeakDiscrimination),
    ]
    .into_iter()
    .filter_map(|(holds, flag)| holds.then_some(flag))
    .collect()
}

/// How a question does
///
/// Difficulty and discrimination as learned from the answers, and what the options attract. It
/// follows the answers within half a minute.
#[utoipa::path(
    get, path = "/v1/questions/{id}/calibration", operation_id = "read_calibration",
    tag = "bank", security(("token" = [])), params(("id" = String, Path)),
    responses((status = 200, body = Calibration), (status = 404, body = Problem)),
)]
async fn of_question(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    extract::Path(id): extract::Path<QuestionId>,
) -> Result<Json<Calibration>, Problem> {
    let bank = app.bank();
    let unknown = || Problem::not_found(format!("Learners are asked no question {id}."));
    let question = bank.question(&id).ok_or_else(unknown)?;
    Calibration::of(&bank, question).map(Json).ok_or_else(unknown)
}

/// Where the list goes on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FlaggedQuery {
    /// Subject slug; all subjects if absent.
    subject: Option<String>,
    /// Cursor: `next` of the page before.
    after: Option<QuestionId>,
}

/// A page of questions that should be looked at.
#[derive(Serialize, ToSchema)]
struct FlaggedPage {
    /// In order of their ids.
    questions: Vec<FlaggedQuestion>,
    /// Cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<QuestionId>,
}

/// Questions to look at
///
/// Those whose key looks wrong, that have drifted, or that hardly tell strong learners from weak
/// ones.
#[utoipa::path(
    get, path = "/v1/calibration", operation_id = "list_flagged",
    tag = "bank", security(("token" = [])), params(FlaggedQuery),
    responses((status = 200, body = FlaggedPage)),
)]
async fn flagged(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    Query(query): Query<FlaggedQuery>,
) -> Json<FlaggedPage> {
    let bank = app.bank();
    let mut wanted: Vec<&Arc<Question>> = bank
        .questions
        .values()
        .filter(|question| query.subject.as_ref().is_none_or(|s| question.subject() == s))
        .filter(|question| query.after.as_ref().is_none_or(|after| question.id > *after))
        .collect();
    wanted.sort_by(|a, b| a.id.cmp(&b.id));
    let mut questions: Vec<FlaggedQuestion> = wanted
        .into_iter()
        .filter_map(|question| {
            let calibration = Calibration::of(&bank, question)?;
            Some(FlaggedQuestion { stem: question.stem.clone(), calibration })
        })
        .filter(|flagged| !flagged.calibration.flags.is_empty())
        .take(PAGE + 1)
        .collect();
    let more = questions.len() > PAGE;
    questions.truncate(PAGE);
    let next = questions.last().filter(|_| more).map(|q| q.calibration.question.clone());
    Json(FlaggedPage { questions, next })
}
