//! Policies compared: the A/B test under way, and the log of choices.

use std::{fmt::Write, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
    response::IntoResponse,
};
use quizmentor_adaptive::policy::{Tally, TallyReport, Value};
use quizmentor_core::Timestamp;
use quizmentor_store::records::StoredAnswer;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, Problem,
    auth::{AsAdmin, AsAuthor},
    context::Context,
    extract::{self, Query},
};

/// Most rows of the log at a time.
const PAGE: usize = 10_000;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(policies))
        .routes(routes!(experiment))
        .routes(routes!(answer_log))
}

/// What a policy earned while it served; the reward is the credit of the answer.
#[derive(Serialize, ToSchema)]
struct Served {
    /// Name and version.
    policy: String,
    /// Credit of the answers, with a 95 % interval, and what was predicted; absent before the
    /// first choice.
    #[serde(flatten)]
    report: Option<TallyReport>,
}

/// All policies that have served.
#[derive(Serialize, ToSchema)]
struct Policies {
    /// In order of their names.
    policies: Vec<Served>,
    /// Name of the experiment under way.
    experiment: Option<String>,
}

/// Policies that have served
///
/// Mean credit of their answers. A policy that asks easier questions earns more credit without
/// teaching more: compare it with what was predicted, and with what the policy aims at.
#[utoipa::path(
    get, path = "/v1/experiments", operation_id = "list_policies",
    tag = "experiments", security(("token" = [])),
    responses((status = 200, body = Policies)),
)]
async fn policies(State(app): State<Arc<App>>, _: AsAuthor) -> Json<Policies> {
    let bank = app.bank();
    let served = bank.statistics.policies.iter();
    Json(Policies {
        policies: served
            .map(|(name, tally)| Served { policy: name.clone(), report: tally.report() })
            .collect(),
        experiment: app.experiment.as_ref().map(|e| e.name().to_owned()),
    })
}

/// Two policies compared.
#[derive(Serialize, ToSchema)]
struct ExperimentReport {
    /// Its name.
    name: String,
    /// Share of the learners that get the treatment; absent where a service of flags decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    /// The policy of the others.
    control: Served,
    /// The policy of the treatment.
    treatment: Served,
    /// Mean credit of the treatment less that of the control, with its 95 % interval; absent until
    /// both have served. Choices are taken as independent, though a learner makes several: the
    /// interval is somewhat too narrow.
    difference: Option<Value>,
}

/// The experiment under way
///
/// Who has the flag of its name gets the treatment: a fixed share of the learners, or whom a service
/// of flags names.
#[utoipa::path(
    get, path = "/v1/experiments/{id}", operation_id = "read_experiment",
    tag = "experiments", security(("token" = [])), params(("id" = String, Path)),
    responses((status = 200, body = ExperimentReport), (status = 404, body = Problem)),
)]
async fn experiment(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    extract::Path(id): extract::Path<String>,
) -> Result<Json<ExperimentReport>, Problem> {
    let running = app.experiment.as_ref().filter(|experiment| experiment.name() == id);
    let running =
        running.ok_or_else(|| Problem::not_found(format!("No experiment {id} is under way.")))?;
    let bank = app.bank();
    let tally = |name: &str| bank.statistics.policies.get(name).copied().unwrap_or_default();
    let [control, treatment] = running.policies().map(|policy| (policy.name, tally(policy.name)));
    let served =
        |(name, tally): (&str, Tally)| Served { policy: name.to_owned(), report: tally.report() };
    Ok(Json(ExperimentReport {
        name: id,
        share: app.flags.share(running.name()),
        difference: treatment.1.difference(&control.1),
        control: served(control),
        treatment: served(treatment),
    }))
}

/// Where the log goes on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// Cursor: `sequence` of the last row of the page before.
    after: Option<u64>,
    /// Rows, 1 to 10000.
    limit: Option<usize>,
}

/// The log of answers
///
/// CSV, one row an answer, for `quizmentor eval policy` and `quizmentor eval adaptive`. Learners
/// appear by their ids. `propensity` is the probability of the choice given the abilities that the
/// policy drew; `chances` tells the same of every policy, and the mean prediction over its choices.
#[utoipa::path(
    get, path = "/v1/answers", operation_id = "export_answers",
    tag = "experiments", security(("token" = [])), params(LogQuery),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 422, body = Problem)),
)]
async fn answer_log(
    State(app): State<Arc<App>>,
    _: AsAdmin,
    Query(query): Query<LogQuery>,
) -> Result<impl IntoResponse, Problem> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&limit) {
        return Err(Problem::invalid_field("limit", format!("{limit} given; 1 to {PAGE}")));
    }
    let after = query.after.unwrap_or(0).min(i64::MAX as u64);
    let answers = app.records.answers_after(after, limit).await?;
    let mut csv = "sequence,at,timestamp_ms,learner,item,skills,correct,credit,latency_ms,scored,\
                   policy,propensity,predicted,snapshot,chances\n"
        .to_owned();
    for stored in &answers {
        write_row(&mut csv, stored).map_err(|error| Problem::internal(&error))?;
    }
    let next = answers.last().map_or(after, |last| last.sequence);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (HeaderName::from_static("x-next-after"), next.to_string()),
    ];
    Ok((headers, csv))
}

/// No field can hold a comma, a quote or a line break: identifiers and names of policies have none.
fn write_row(csv: &mut String, stored: &StoredAnswer) -> std::fmt::Result {
    let answer = &stored.answer;
    let context = Context::of(stored);
    let at: Timestamp = answer.at;
    write!(csv, "{},{at},{},{},", stored.sequence, at.as_millisecond(), answer.learner)?;
    write!(csv, "{},{},{},", answer.question, answer.skill, u8::from(answer.correct))?;
    write!(csv, "{},", answer.credit)?;
    if let Some(ms) = answer.elapsed_ms {
        write!(csv, "{ms}")?;
    }
    write!(csv, ",{},{},", u8::from(context.scored), answer.policy)?;
    write!(csv, "{},{},{},", answer.propensity, answer.predicted, answer.snapshot)?;
    for (nth, chance) in context.chances.iter().enumerate() {
        let separator = if nth > 0 { ";" } else { "" };
        let quizmentor_adaptive::select::Chance { policy, propensity, predicted } = chance;
        write!(csv, "{separator}{policy}={propensity}:{predicted}")?;
    }
    csv.push('\n');
    Ok(())
}
