//! Guests, sign-in links, invitations, and their limits.

use std::net::SocketAddr;

use axum::{body::Body, extract::ConnectInfo, http::Request};
use futures_util::future::join_all;
use quizmentor_api::{AUTHOR_TOKEN_LIFE, LEARNER_TOKEN_LIFE, LINK_LIFE, invite};
use quizmentor_core::{Clock, Role, SignedDuration};
use quizmentor_testkit::{Client, Installation, Reply};
use serde_json::{Value, json};

const LINK: &str = "/v1/auth/link";

async fn code(installation: &Installation, role: Role) -> Value {
    let records = installation.app.records.as_ref();
    let (code, _) = invite(records, role, installation.clock.now()).await.unwrap();
    json!({ "code": code })
}

#[tokio::test]
async fn a_guest_is_a_learner_of_its_own() {
    let installation = Installation::new(&[]).await;
    let mut accounts = Vec::new();
    for _ in 0..2 {
        let token = installation.anyone().post("/v1/auth/guest", &json!({})).await.expect(201);
        let guest = installation.anyone().with_token(token["token"].as_str().unwrap());
        let account = guest.get("/v1/me").await.expect(200);
        assert_eq!(account, json!({ "learner": token["learner"], "role": "learner" }));
        accounts.push(account);
    }
    assert_ne!(accounts[0], accounts[1]);
}

#[tokio::test]
async fn renewal_keeps_the_account_and_prolongs_the_token() {
    let installation = Installation::new(&[]).await;
    for (role, life) in [(Role::Learner, LEARNER_TOKEN_LIFE), (Role::Admin, AUTHOR_TOKEN_LIFE)] {
        let client = match role {
            Role::Learner => installation.learner().await,
            _ => installation.admin().await,
        };
        let account = client.get("/v1/me").await.expect(200);
        let life = SignedDuration::try_from(life).unwrap();
        installation.clock.advance(life - SignedDuration::from_secs(1));
        let renewed = client.post("/v1/auth/renew", &json!({})).await.expect(200);
        assert_eq!(
            renewed["expires_at"],
            (installation.clock.now() + life).to_string(),
            "{renewed}"
        );
        installation.clock.advance(SignedDuration::from_secs(1));
        client.get("/v1/me").await.problem(401);
        let client = client.with_token(renewed["token"].as_str().unwrap());
        assert_eq!(client.get("/v1/me").await.expect(200), account);
    }
}

#[tokio::test]
async fn a_link_signs_in_once() {
    let installation = Installation::new(&[]).await;
    let anyone = installation.anyone();
    let code = code(&installation, Role::Author).await;
    let token = anyone.post(LINK, &code).await.expect(200);
    assert_eq!(token["role"], "author");
    let problem = anyone.post(LINK, &code).await.problem(401);
    assert!(problem["detail"].as_str().unwrap().contains("used"), "{problem}");
    let author = anyone.with_token(token["token"].as_str().unwrap());
    assert_eq!(author.get("/v1/me").await.expect(200)["learner"], token["learner"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_link_signs_one_of_many_in() {
    let installation = Installation::new(&[]).await;
    let code = code(&installation, Role::Admin).await;
    let tasks = (0..10).map(|_| {
        let (anyone, code) = (installation.anyone(), code.clone());
        tokio::spawn(async move { anyone.post(LINK, &code).await.status.as_u16() })
    });
    let mut statuses: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![401; 9]].concat());
}

#[tokio::test]
async fn a_link_ends_with_its_time() {
    let installation = Installation::new(&[]).await;
    let code = code(&installation, Role::Author).await;
    installation.clock.advance(SignedDuration::try_from(LINK_LIFE).unwrap());
    installation.anyone().post(LINK, &code).await.problem(401);
}

#[tokio::test]
async fn admins_invite_to_every_role() {
    let installation = Installation::new(&[]).await;
    let admin = installation.admin().await;
    for role in ["learner", "author", "admin"] {
        let invitation =
            admin.post("/v1/auth/invitations", &json!({ "role": role })).await.expect(201);
        let code = json!({ "code": invitation["code"] });
        let token = installation.anyone().post(LINK, &code).await.expect(200);
        assert_eq!(token["role"], role);
        let invited = installation.anyone().with_token(token["token"].as_str().unwrap());
        assert_eq!(invited.get("/v1/me").await.expect(200)["role"], role);
        invited.post("/v1/sessions", &json!({})).await.expect(201);
    }
}

async fn try_code(client: &Client, peer: &str) -> Reply {
    let request = Request::post(LINK)
        .header("content-type", "application/json")
        .extension(ConnectInfo(peer.parse::<SocketAddr>().unwrap()))
        .body(Body::from(r#"{"code":"guess"}"#))
        .unwrap();
    client.send(request).await
}

#[tokio::test]
async fn guessing_codes_is_limited_by_address() {
    let installation = Installation::new(&[]).await;
    let anyone = installation.anyone();
    for _ in 0..30 {
        try_code(&anyone, "192.0.2.1:4000").await.problem(401);
    }
    let refused = try_code(&anyone, "192.0.2.1:4001").await;
    let problem = refused.problem(429);
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(problem["retry_after"], wait);
    try_code(&anyone, "192.0.2.2:4000").await.problem(401);
    installation.clock.advance(SignedDuration::from_secs(wait));
    try_code(&anyone, "192.0.2.1:4000").await.problem(401);
}

#[tokio::test]
async fn a_learner_who_answers_too_often_is_told_to_wait() {
    let installation = Installation::new(&[]).await;
    let (hasty, other) = (installation.learner().await, installation.learner().await);
    let nowhere = format!("/v1/sessions/{}/answers", uuid::Uuid::new_v4());
    let answer = json!({
        "id": uuid::Uuid::new_v4(), "question": "cell-0", "response": { "truth": true },
    });
    for _ in 0..1_200 {
        hasty.post(&nowhere, &answer).await.problem(404);
    }
    let refused = hasty.post(&nowhere, &answer).await;
    refused.problem(429);
    let wait: i64 = refused.header("retry-after").parse().unwrap();
    other.post(&nowhere, &answer).await.problem(404);
    hasty.get("/v1/me/mastery").await.expect(200);
    installation.clock.advance(SignedDuration::from_secs(wait));
    hasty.post(&nowhere, &answer).await.problem(404);
}
