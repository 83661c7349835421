//! Prerequisites among skills.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{Json, extract::State};
use quizmentor_adaptive::paths::SkillGraph;
use quizmentor_core::SkillId;
use quizmentor_store::records::Prerequisites;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App, Problem,
    auth::{AsAuthor, AsLearner},
    bank::Bank,
    extract,
    problem::FieldError,
};

/// Most direct prerequisites of a skill.
const MAX_PREREQUISITES: usize = 20;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(read, write))
}

/// Which skills are to be mastered before which others.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PrerequisitesView {
    /// Grows by one with each change. To change them, send the version that was read.
    version: u64,
    /// Skills with their direct prerequisites.
    prerequisites: BTreeMap<SkillId, BTreeSet<SkillId>>,
}

impl From<&Prerequisites> for PrerequisitesView {
    fn from(stored: &Prerequisites) -> Self {
        Self { version: stored.version, prerequisites: stored.of.clone() }
    }
}

impl PrerequisitesView {
    fn checked(self, bank: &Bank) -> Result<Prerequisites, Problem> {
        let mut errors = Vec::new();
        for (skill, all) in &self.prerequisites {
            let mut error = |problem: String| {
                errors.push(FieldError { field: format!("prerequisites[{skill}]"), problem });
            };
            if !bank.has_skill(skill) {
                error(format!("there is no skill {skill}"));
            }
            for before in all.iter().filter(|before| !bank.has_skill(before)) {
                error(format!("there is no skill {before}"));
            }
            if all.len() > MAX_PREREQUISITES {
                error(format!("{} given; at most {MAX_PREREQUISITES}", all.len()));
            }
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        SkillGraph::of(self.prerequisites.clone())
            .map_err(|error| Problem::invalid_field("prerequisites", error.to_string()))?;
        let of = self.prerequisites.into_iter().filter(|(_, all)| !all.is_empty()).collect();
        Ok(Prerequisites { version: self.version.saturating_add(1), of })
    }
}

/// Prerequisites of skills
#[utoipa::path(
    get, path = "/v1/skills/prerequisites", operation_id = "read_prerequisites",
    tag = "bank", security(("token" = [])),
    responses((status = 200, body = PrerequisitesView)),
)]
async fn read(State(app): State<Arc<App>>, _: AsLearner) -> Json<PrerequisitesView> {
    Json(PrerequisitesView::from(&*app.bank().prerequisites))
}

/// Change the prerequisites of skills
///
/// Replaces them all. Practice asks for a skill once its prerequisites are mastered. A cycle is
/// refused with its skills named.
#[utoipa::path(
    put, path = "/v1/skills/prerequisites", operation_id = "write_prerequisites",
    tag = "bank", security(("token" = [])), request_body = PrerequisitesView,
    responses(
        (status = 200, body = PrerequisitesView),
        (status = 409, body = Problem),
        (status = 422, body = Problem),
    ),
)]
async fn write(
    State(app): State<Arc<App>>,
    _: AsAuthor,
    extract::Json(request): extract::Json<PrerequisitesView>,
) -> Result<Json<PrerequisitesView>, Problem> {
    let next = request.checked(&app.bank())?;
    app.records.put_prerequisites(&next).await?;
    app.refresh_prerequisites().await?;
    Ok(Json(PrerequisitesView::from(&next)))
}
