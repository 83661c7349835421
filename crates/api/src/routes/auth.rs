//! Accounts: guests, one-time sign-in links, invitations.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{Extensions, StatusCode},
};
use quizmentor_core::{LearnerId, Principal, Role, Timestamp};
use quizmentor_store::records::LinkHash;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    App, Problem,
    auth::{AsAdmin, AsLearner, check_account, link_hash},
    extract, limiter, upkeep,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(guest))
        .routes(routes!(redeem))
        .routes(routes!(renew))
        .routes(routes!(me))
        .routes(routes!(create_invitation))
}

/// A token and what it is good for.
#[derive(Serialize, ToSchema)]
struct Token {
    /// Send it as `Authorization: Bearer …`.
    token: String,
    /// When it ends.
    expires_at: Timestamp,
    /// The account.
    learner: LearnerId,
    /// What the account may do.
    role: Role,
}

fn issue(app: &App, principal: Principal) -> Result<Json<Token>, Problem> {
    let (token, expires_at) =
        app.issuer.issue(principal, app.clock.now()).map_err(|error| Problem::internal(&error))?;
    Ok(Json(Token { token, expires_at, learner: principal.learner, role: principal.role }))
}

/// Begin as a guest
///
/// Makes a learner and gives its token, valid for 90 days. Renew it before it ends to stay the
/// same learner.
#[utoipa::path(
    post, path = "/v1/auth/guest", tag = "accounts",
    responses((status = 201, body = Token), (status = 429, body = Problem)),
)]
async fn guest(
    State(app): State<Arc<App>>,
    extensions: Extensions,
) -> Result<(StatusCode, Json<Token>), Problem> {
    app.limit_address(limiter::GUESTS, &extensions).await?;
    let learner = LearnerId(Uuid::now_v7());
    app.records.create_learner(learner, app.clock.now()).await?;
    Ok((StatusCode::CREATED, issue(&app, Principal { learner, role: Role::Learner })?))
}

/// A one-time code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    /// From the sign-in link, after `#code=`.
    code: String,
}

/// Sign in with a link's code
///
/// Works once, within an hour of the link's making.
#[utoipa::path(
    post, path = "/v1/auth/link", tag = "accounts", request_body = Code,
    responses((status = 200, body = Token), (status = 401, body = Problem)),
)]
async fn redeem(
    State(app): State<Arc<App>>,
    extensions: Extensions,
    extract::Json(Code { code }): extract::Json<Code>,
) -> Result<Json<Token>, Problem> {
    app.limit_address(limiter::LINKS, &extensions).await?;
    let account = app.records.redeem_link(LinkHash(link_hash(&code)), app.clock.now()).await?;
    let (learner, role) = account.ok_or_else(|| {
        Problem::unauthenticated(
            "This sign-in link is unknown, used or expired; ask for a new one.",
        )
    })?;
    issue(&app, Principal { learner, role })
}

/// Renew a token
///
/// Gives a fresh token for the account of a valid one.
#[utoipa::path(
    post, path = "/v1/auth/renew", tag = "accounts", security(("token" = [])),
    responses((status = 200, body = Token), (status = 401, body = Problem)),
)]
async fn renew(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
) -> Result<Json<Token>, Problem> {
    check_account(&app, principal.learner).await?;
    issue(&app, principal)
}

/// An account.
#[derive(Serialize, ToSchema)]
struct Account {
    /// Its id.
    learner: LearnerId,
    /// What it may do.
    role: Role,
}

/// Who am I
#[utoipa::path(
    get, path = "/v1/me", tag = "accounts", security(("token" = [])),
    responses((status = 200, body = Account), (status = 401, body = Problem)),
)]
async fn me(
    State(app): State<Arc<App>>,
    AsLearner(principal): AsLearner,
) -> Result<Json<Account>, Problem> {
    check_account(&app, principal.learner).await?;
    Ok(Json(Account { learner: principal.learner, role: principal.role }))
}

/// Whom to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationRequest {
    /// Role of the new account.
    role: Role,
}

/// A one-time code for a new account.
#[derive(Serialize, ToSchema)]
struct Invitation {
    /// To be redeemed at /v1/auth/link; in a link: `/#code=…`.
    code: String,
    /// When it ends.
    expires_at: Timestamp,
}

/// Invite someone
///
/// Makes an account and a one-time code to sign in to it.
#[utoipa::path(
    post, path = "/v1/auth/invitations", tag = "accounts", security(("token" = [])),
    request_body = InvitationRequest,
    responses((status = 201, body = Invitation), (status = 403, body = Problem)),
)]
async fn create_invitation(
    State(app): State<Arc<App>>,
    _: AsAdmin,
    extract::Json(request): extract::Json<InvitationRequest>,
) -> Result<(StatusCode, Json<Invitation>), Problem> {
    let (code, expires_at) =
        upkeep::invite(app.records.as_ref(), request.role, app.clock.now()).await?;
    Ok((StatusCode::CREATED, Json(Invitation { code, expires_at })))
}
