//! Goals of a learner: the path to a skill, the plan for an exam.

use std::sync::Arc;

use axum::{Json, extract::State};
use quizmentor_adaptive::{
    Mastery, mastery,
    paths::Step,
    plan::{self, Plan, Subject},
};
use quizmentor_core::{SkillId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, Problem, auth::AsLearner, bank::Bank, extract::Query};

/// Success on a typical question that an exam plan aims at, unless asked otherwise.
const TARGET: f64 = 0.8;
/// Minutes a day, unless asked otherwise.
const MINUTES: f64 = 30.0;
/// Longest time to plan ahead, in days.
const MAX_DAYS: i64 = 1_000;
const SECONDS_PER_DAY: i64 = 86_400;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(my_path)).routes(routes!(my_plan))
}

/// Where a path leads.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PathQuery {
    /// The skill to be mastered.
    goal: SkillId,
}

/// The way to a skill.
#[derive(Serialize, ToSchema)]
struct LearningPath {
    /// The skill to be mastered.
    goal: SkillId,
    /// What is to be learned, in order, the goal last; empty when the goal is mastered.
    steps: Vec<Step>,
    /// Minutes of practice that it is expected to take.
    minutes: f64,
}

/// My path to a skill
///
/// The skills to be mastered on the way, each after its prerequisites. What is mastered is left
/// out.
#[utoipa::path(
    get, path = "/v1/me/path", tag = "learner", security(("token" = [])), params(PathQuery),
    responses((status = 200, body = LearningPath), (status = 422, body = Problem)),
)]
async fn my_path(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    Query(query): Query<PathQuery>,
) -> Result<Json<LearningPath>, Problem> {
    let learner = app.learner(principal.learner).await?;
    let (bank, now) = (Arc::clone(&app.bank()), app.clock.now());
    if !bank.has_skill(&query.goal) {
        return Err(Problem::invalid_field("goal", format!("there is no skill {}", query.goal)));
    }
    let subjects = subjects(&bank, &mastery(&bank.engine, &learner, now), |_| true);
    let minutes = |skill: &SkillId| {
        let subject = subjects.iter().find(|subject| subject.skill == *skill);
        subject.map_or(0.0, |subject| plan::minutes_to(subject, mastery::MASTERED))
    };
    let mastered = |skill: &SkillId| mastery::has_mastered(&bank.engine, &learner, skill, now);
    let steps = bank.graph.path(&query.goal, mastered, minutes);
    let minutes = steps.iter().map(|step| step.minutes).sum();
    Ok(Json(LearningPath { goal: query.goal, steps, minutes }))
}

/// What is to be reached by when.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PlanQuery {
    /// When the exam is.
    exam: Timestamp,
    /// Subject slug; all subjects if absent.
    subject: Option<String>,
    /// Wished probability of success on a typical question of each skill, 0.5 to 0.95; 0.8 if
    /// absent.
    target: Option<f64>,
    /// Minutes that there are each day, 1 to 1440; 30 if absent.
    minutes: Option<f64>,
}

/// Today's part of the preparation for an exam.
#[derive(Serialize, ToSchema)]
struct ExamPlan {
    /// Days left, today included.
    days: u32,
    /// Probability of success that is aimed at.
    target: f64,
    /// Minutes that there are each day.
    minutes: f64,
    /// Reviews that are due and go first.
    reviews_due: usize,
    /// What to practise.
    #[serde(flatten)]
    plan: Plan,
}

impl PlanQuery {
    fn checked(&self, bank: &Bank, now: Timestamp) -> Result<(u32, f64, f64), Problem> {
        let (target, minutes) = (self.target.unwrap_or(TARGET), self.minutes.unwrap_or(MINUTES));
        if let Some(subject) = self.subject.as_ref().filter(|subject| !bank.has_subject(subject)) {
            return Err(Problem::invalid_field("subject", format!("there is no {subject}")));
        }
        if !(0.5..=0.95).contains(&target) {
            return Err(Problem::invalid_field("target", "must be 0.5 to 0.95"));
        }
        if !(1.0..=1440.0).contains(&minutes) {
            return Err(Problem::invalid_field("minutes", "must be 1 to 1440"));
        }
        let seconds = self.exam.as_second() - now.as_second();
        if !(0..MAX_DAYS * SECONDS_PER_DAY).contains(&seconds) {
            return Err(Problem::invalid_field("exam", "must be within the next 1000 days"));
        }
        Ok(((seconds / SECONDS_PER_DAY) as u32 + 1, target, minutes))
    }
}

/// My plan for an exam
///
/// Given the date and the target: which skills to practise today, and whether the time suffices.
#[utoipa::path(
    get, path = "/v1/me/plan", tag = "learner", security(("token" = [])), params(PlanQuery),
    responses((status = 200, body = ExamPlan), (status = 422, body = Problem)),
)]
async fn my_plan(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
    Query(query): Query<PlanQuery>,
) -> Result<Json<ExamPlan>, Problem> {
    let learner = app.learner(principal.learner).await?;
    let (bank, now) = (Arc::clone(&app.bank()), app.clock.now());
    let (days, target, minutes) = query.checked(&bank, now)?;
    let wanted = |skill: &SkillId| query.subject.as_deref().is_none_or(|s| skill.subject() == s);
    let subjects = subjects(&bank, &mastery(&bank.engine, &learner, now), wanted);
    let catalog = bank.engine.catalog();
    let reviews_due = quizmentor_adaptive::review::due(catalog, &learner, now)
        .iter()
        .filter_map(|due| bank.question(catalog.id(due.index)))
        .filter(|question| wanted(&question.skill))
        .count();
    let plan = plan::plan(&subjects, days, target, minutes);
    Ok(Json(ExamPlan { days, target, minutes, reviews_due, plan }))
}

/// What a plan needs to know of the skills; each counts in the exam by its questions.
fn subjects(bank: &Bank, mastery: &Mastery, wanted: impl Fn(&SkillId) -> bool) -> Vec<Subject> {
    let catalog = bank.engine.catalog();
    let skills = mastery.skills.iter().filter(|mastery| wanted(&mastery.skill));
    skills
        .filter_map(|mastery| {
            let skill = catalog.skill((&mastery.skill).into())?;
            let spent = skill.items.iter().map(|&at| &catalog.items()[at as usize]);
            let ms: f64 = spent.map(|item| f64::from(item.expected_ms)).sum();
            Some(Subject {
                skill: mastery.skill.clone(),
                knowledge: mastery.estimate.knowledge(),
                guess: mastery.estimate.guess,
                weight: f64::from(mastery.estimate.items),
                minutes_per_answer: ms / 60_000.0 / skill.items.len().max(1) as f64,
            })
        })
        .collect()
}
