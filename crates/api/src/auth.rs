//! Who asks: signed tokens, one-time sign-in links, and the roles checked on every route.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use quizmentor_core::{LearnerId, Principal, Role};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{App, Problem};

/// Verifies bearer tokens. The local issuer is the embedded default; an outside identity
/// service takes the same place.
#[async_trait]
pub trait Identity: Send + Sync {
    /// The principal that `token` stands for at `now`.
    ///
    /// # Errors
    /// When the token is malformed, forged or expired, in words for the client.
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError>;
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Signature or shape is wrong.
    #[error("The token is not valid; sign in again.")]
    Invalid,
    /// Past its time.
    #[error("The token has expired; sign in again.")]
    Expired,
}

/// How long a learner's token lasts.
pub const LEARNER_TOKEN_LIFE: Duration = Duration::from_hours(24 * 90);
/// How long an author's or admin's token lasts.
pub const AUTHOR_TOKEN_LIFE: Duration = Duration::from_hours(12);
/// How long a sign-in link lasts.
pub const LINK_LIFE: Duration = Duration::from_hours(1);

const ISSUER: &str = "quizmentor";

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: LearnerId,
    role: Role,
    iat: i64,
    exp: i64,
}

/// Issues and verifies tokens signed with HMAC-SHA-256 by a key of this installation.
pub struct LocalIdentity {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl LocalIdentity {
    /// An issuer with the signing key `key`, at least 32 random bytes.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self { encoding: EncodingKey::from_secret(key), decoding: DecodingKey::from_secret(key) }
    }

    /// A token for `principal` and the moment it expires.
    ///
    /// # Errors
    /// When signing fails.
    pub fn issue(
        &self,
        principal: Principal,
        now: Timestamp,
    ) -> Result<(String, Timestamp), jsonwebtoken::errors::Error> {
        let life = match principal.role {
            Role::Learner => LEARNER_TOKEN_LIFE,
            Role::Author | Role::Admin => AUTHOR_TOKEN_LIFE,
        };
        let expires = now + life;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: principal.learner,
            role: principal.role,
            iat: now.as_second(),
            exp: expires.as_second(),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)?;
        Ok((token, expires))
    }
}

#[async_trait]
impl Identity for LocalIdentity {
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        // The expiry is judged below, by the clock that was handed in.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        if claims.exp <= now.as_second() {
            return Err(TokenError::Expired);
        }
        Ok(Principal { learner: claims.sub, role: claims.role })
    }
}

/// A fresh one-time code for a sign-in link, 256 random bits.
#[must_use]
pub fn new_link_code() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 32]>())
}

/// What the store keeps of a code: its SHA-256, from which the code cannot be had back.
#[must_use]
pub fn link_hash(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}

async fn principal(parts: &Parts, app: &App) -> Result<Principal, Problem> {
    let header = parts.headers.get(header::AUTHORIZATION).ok_or_else(|| {
        Problem::unauthenticated(
            "Send a token: “Authorization: Bearer …”. POST /v1/auth/guest gives one.",
        )
    })?;
    let token = header
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Problem::unauthenticated("The Authorization header must be “Bearer …”."))?;
    app.identity
        .verify(token, app.clock.now())
        .await
        .map_err(|error| Problem::unauthenticated(error.to_string()))
}

/// A token outlives the account that it was given to; what rests on the account asks for it.
pub(crate) async fn check_account(app: &App, learner: LearnerId) -> Result<(), Problem> {
    if app.records.learner_exists(learner).await? { Ok(()) } else { Err(erased()) }
}

/// Tells a client that it needs another account.
pub(crate) fn erased() -> Problem {
    Problem::unauthenticated("This account was erased; sign in anew.")
}

async fn demand(role: Role, parts: &Parts, app: &App) -> Result<(), Problem> {
    let principal = principal(parts, app).await?;
    if principal.role >= role {
        return check_account(app, principal.learner).await;
    }
    let needed = match role {
        Role::Learner => "a learner",
        Role::Author => "an author",
        Role::Admin => "an admin",
    };
    Err(Problem::forbidden(format!("This needs {needed}'s token.")))
}

/// Whoever has a valid token.
pub(crate) struct AsLearner(pub(crate) Principal);

impl FromRequestParts<Arc<App>> for AsLearner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        principal(parts, app).await.map(Self)
    }
}

/// An author or admin.
pub(crate) struct AsAuthor;

impl FromRequestParts<Arc<App>> for AsAuthor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        demand(Role::Author, parts, app).await.map(|()| Self)
    }
}

/// An admin.
pub(crate) struct AsAdmin;

impl FromRequestParts<Arc<App>> for AsAdmin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        demand(Role::Admin, parts, app).await.map(|()| Self)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn ada() -> Principal {
        Principal { learner: LearnerId(Uuid::from_u128(7)), role: Role::Author }
    }

    #[tokio::test]
    async fn a_token_stands_for_its_principal_until_it_expires() {
        let identity = LocalIdentity::new(&[1; 32]);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let (token, expires) = identity.issue(ada(), now).unwrap();
        assert_eq!(identity.verify(&token, now).await, Ok(ada()));
        assert_eq!(identity.verify(&token, expires).await, Err(TokenError::Expired));
    }

    #[tokio::test]
    async fn forged_tokens_are_refused() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let (token, _) = LocalIdentity::new(&[1; 32]).issue(ada(), now).unwrap();
        let other = LocalIdentity::new(&[2; 32]);
        assert_eq!(other.verify(&token, now).await, Err(TokenError::Invalid));
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", token.split('.').nth(1).unwrap());
        assert_eq!(other.verify(&unsigned, now).await, Err(TokenError::Invalid));
        assert_eq!(other.verify("", now).await, Err(TokenError::Invalid));
    }

    #[test]
    fn codes_differ_and_hash_alike() {
        let code = new_link_code();
        assert_ne!(code, new_link_code());
        assert_eq!(link_hash(&code), link_hash(&code));
    }
}
