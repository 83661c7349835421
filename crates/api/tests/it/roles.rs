//! Who may do what, on every route that the description tells of.

use axum::{
    body::Body,
    http::{Method, Request},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use quizmentor_api::LocalIdentity;
use quizmentor_core::{Clock, LearnerId, Principal, Role, SignedDuration};
use quizmentor_testkit::{Client, Installation, Reply, questions::statements};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sitting::Sitting;

/// Routes that need no token.
const OPEN: [&str; 3] = ["/v1/auth/guest", "/v1/auth/link", "/v1/subjects"];

/// Method and path of every route, the id in paths being unknown to the app.
pub(crate) fn routes() -> Vec<(Method, String)> {
    let description = json!(quizmentor_api::openapi());
    let paths = description["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| {
            let path = path.replace("{id}", "00000000-0000-4000-8000-000000000000");
            methods
                .as_object()
                .unwrap()
                .keys()
                .map(move |method| (method.to_uppercase().parse().unwrap(), path.clone()))
        })
        .collect()
}

fn guarded() -> impl Iterator<Item = (Method, String)> {
    routes().into_iter().filter(|(_, path)| !OPEN.contains(&path.as_str()))
}

fn role_of(method: &Method, path: &str) -> Role {
    match path {
        "/v1/auth/invitations" | "/v1/answers" => Role::Admin,
        path if path.starts_with("/v1/learners") || path.starts_with("/v1/jobs") => Role::Admin,
        "/v1/skills/prerequisites" if *method == Method::PUT => Role::Author,
        path if ["/v1/questions", "/v1/calibration", "/v1/experiments"]
            .iter()
            .any(|start| path.starts_with(start)) =>
        {
            Role::Author
        }
        _ => Role::Learner,
    }
}

async fn ask(client: &Client, (method, path): &(Method, String)) -> Reply {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    client.send(request).await
}

fn forged(installation: &Installation, key: [u8; 32]) -> String {
    let principal = Principal { learner: LearnerId(Uuid::from_u128(1)), role: Role::Admin };
    LocalIdentity::new(&key).issue(principal, installation.clock.now()).unwrap().0
}

/// A learner's token whose claims say `admin`, its signature left as it was.
async fn promoted(installation: &Installation) -> String {
    let token = installation.anyone().post("/v1/auth/guest", &json!({})).await.expect(201);
    let parts: Vec<_> = token["token"].as_str().unwrap().split('.').collect();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let mut claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["role"] = "admin".into();
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("{}.{claims}.{}", parts[0], parts[2])
}

#[tokio::test]
async fn without_a_valid_token_every_guarded_route_is_shut() {
    let installation = Installation::new(&[]).await;
    let anyone = installation.anyone();
    let mut clients = vec![anyone.clone(), installation.admin().await];
    installation.clock.advance(SignedDuration::from_hours(12));
    for token in [
        "nonsense",
        "a.b.c",
        &forged(&installation, [9; 32]),
        &promoted(&installation).await,
        &"x".repeat(8_000),
    ] {
        clients.push(anyone.with_token(token));
    }
    assert!(guarded().count() >= 20);
    for client in clients {
        for route in guarded() {
            let reply = ask(&client, &route).await;
            reply.problem(401);
            assert_eq!(reply.header("www-authenticate"), "Bearer", "{route:?}");
        }
    }
    let valid = anyone.with_token(&forged(&installation, [7; 32]));
    valid.get("/v1/me/mastery").await.expect(200);
}

#[tokio::test]
async fn expired_tokens_are_told_from_wrong_ones() {
    let installation = Installation::new(&[]).await;
    let learner = installation.learner().await;
    installation.clock.advance(SignedDuration::from_hours(24 * 90));
    let problem = learner.get("/v1/me").await.problem(401);
    assert!(problem["detail"].as_str().unwrap().contains("expired"), "{problem}");
}

#[tokio::test]
async fn roles_open_what_is_theirs_and_no_more() {
    let installation = Installation::new(&[]).await;
    let clients = [
        (Role::Learner, installation.learner().await),
        (Role::Author, installation.author().await),
        (Role::Admin, installation.admin().await),
    ];
    // Whoever leaves has no rights left, so that comes last.
    let mut routes: Vec<_> = guarded().collect();
    routes.sort_by_key(|(method, path)| *method == Method::DELETE && path == "/v1/me");
    for route in routes {
        for (role, client) in &clients {
            let reply = ask(client, &route).await;
            if *role < role_of(&route.0, &route.1) {
                reply.problem(403);
            } else {
                assert!(![401, 403].contains(&reply.status.as_u16()), "{role:?} {route:?}");
            }
        }
    }
    for route in self::routes().iter().filter(|(_, path)| OPEN.contains(&path.as_str())) {
        let status = ask(&installation.anyone(), route).await.status.as_u16();
        assert!(![401, 403].contains(&status), "{route:?}");
    }
}

#[tokio::test]
async fn the_authorization_header_must_be_a_bearer_token() {
    let installation = Installation::new(&[]).await;
    let token = forged(&installation, [7; 32]);
    let send = async |value: &[u8]| {
        let request = Request::get("/v1/me/mastery").header("authorization", value);
        installation.anyone().send(request.body(Body::empty()).unwrap()).await
    };
    for accepted in [format!("Bearer {token}"), format!("bearer   {token} ")] {
        send(accepted.as_bytes()).await.expect(200);
    }
    let refused = ["", "Bearer", "Bearer ", "Basic YTpi", &token, "Bearer žluťoučký", "Bearer a b"];
    for header in refused {
        send(header.as_bytes()).await.problem(401);
    }
    send(b"Bearer \xff\xfe").await.problem(401);
}

#[tokio::test]
async fn another_learners_session_does_not_exist() {
    let bank = statements(3);
    let installation = Installation::new(&bank).await;
    let (owner, other) = (installation.learner().await, installation.author().await);
    let sitting = Sitting::begin(&owner, json!({})).await;
    let submission = sitting.submission(&bank, true);
    let unknown = format!("/v1/sessions/{}", Uuid::new_v4());
    for path in [sitting.path(""), unknown] {
        for rest in ["", "/next"] {
            other.get(&format!("{path}{rest}")).await.problem(404);
        }
        other.post(&format!("{path}/end"), &json!({})).await.problem(404);
        other.post(&format!("{path}/answers"), &submission).await.problem(404);
    }
    other.get(&format!("/v1/sessions?after={}", sitting.id())).await.problem(404);
    assert_eq!(other.get("/v1/sessions").await.expect(200)["sessions"], json!([]));
    assert_eq!(owner.get(&sitting.path("")).await.expect(200), sitting.session);
}
