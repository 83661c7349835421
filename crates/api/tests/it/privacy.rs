//! A learner's data: all of it is exported, and none of it is left after an erasure.

use quizmentor_testkit::{Client, Installation, questions::statements};
use serde_json::{Value, json};
use uuid::Uuid;

/// A learner who has answered `count` questions, with their id.
async fn practised(installation: &Installation, count: usize) -> (Client, String) {
    let learner = installation.learner().await;
    let me = learner.get("/v1/me").await.expect(200);
    let mut session = learner.post("/v1/sessions", &json!({})).await.expect(201);
    for _ in 0..count {
        let question = &session["next"]["question"]["id"];
        let answer =
            json!({ "id": Uuid::now_v7(), "question": question, "response": { "truth": true } });
        let path = format!("/v1/sessions/{}/answers", session["id"].as_str().unwrap());
        session = learner.post(&path, &answer).await.expect(200)["session"].take();
    }
    (learner, me["learner"].as_str().unwrap().to_owned())
}

async fn export(client: &Client, path: &str) -> Vec<Value> {
    let reply = client.get(path).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    assert!(reply.header("content-disposition").starts_with("attachment"));
    reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_export_holds_everything_of_the_learner_and_nothing_of_others() {
    let installation = Installation::new(&statements(20)).await;
    let (learner, id) = practised(&installation, 7).await;
    let (_, other) = practised(&installation, 1).await;
    let documents = export(&learner, "/v1/me/export").await;
    let of = |kind: &str| documents.iter().filter(|document| !document[kind].is_null()).count();
    assert_eq!((of("learner"), of("session"), of("answer"), of("state")), (1, 1, 7, 1));
    assert_eq!(documents[0]["learner"]["id"], id.as_str());
    let end = documents.last().unwrap();
    assert_eq!(*end, json!({ "end": { "sessions": 1, "answers": 7 } }));
    assert!(!format!("{documents:?}").contains(&other));

    let admin = installation.admin().await;
    let path = format!("/v1/learners/{id}/export");
    assert_eq!(export(&admin, &path).await, documents);
    installation.author().await.get(&path).await.problem(403);
    let nobody = format!("/v1/learners/{}/export", Uuid::nil());
    admin.get(&nobody).await.problem(404);
}

#[tokio::test]
async fn nothing_is_left_of_an_erased_learner() {
    let installation = Installation::new(&statements(20)).await;
    let (learner, id) = practised(&installation, 5).await;
    let (other, _) = practised(&installation, 2).await;
    let sessions = learner.get("/v1/sessions").await;
    let session =
        installation.app.records.outbox_after(0, 100).await.unwrap()[0].event.payload["session"]
            .as_str()
            .unwrap()
            .to_owned();
    let before = export(&other, "/v1/me/export").await;
    drop(sessions);

    assert_eq!(learner.delete("/v1/me").await.status, 204);
    learner.get("/v1/me/export").await.problem(404);
    learner.get(&format!("/v1/sessions/{session}")).await.problem(404);
    let answers = learner.get("/v1/me/answers").await.expect(200);
    assert_eq!(answers["answers"], json!([]));
    assert_eq!(learner.get("/v1/me/mastery").await.expect(200)["overall"]["answers"], 0);
    learner.post("/v1/sessions", &json!({})).await.problem(401);
    learner.get("/v1/me").await.problem(401);
    learner.delete("/v1/me").await.problem(404);

    // Others are told of the erasure, and then that is gone as well.
    while installation.app.deliver_some(&[]).await.unwrap() > 0 {}
    let (sink, mut entries) = tokio::sync::mpsc::channel(10_000);
    installation.app.records.dump(sink).await.unwrap();
    while let Some(entry) = entries.recv().await {
        let text = serde_json::to_string(&entry).unwrap();
        assert!(!text.contains(&id), "{text}");
    }
    assert_eq!(export(&other, "/v1/me/export").await, before);
}

#[tokio::test]
async fn an_admin_erases_anyone_and_others_nobody() {
    let installation = Installation::new(&statements(5)).await;
    let (learner, id) = practised(&installation, 1).await;
    let path = format!("/v1/learners/{id}");
    learner.delete(&path).await.problem(403);
    installation.author().await.delete(&path).await.problem(403);
    let admin = installation.admin().await;
    assert_eq!(admin.delete(&path).await.status, 204);
    admin.delete(&path).await.problem(404);
}

#[tokio::test]
async fn an_erased_author_has_no_rights_left() {
    let installation = Installation::new(&statements(5)).await;
    let (author, admin) = (installation.author().await, installation.admin().await);
    let id = author.get("/v1/me").await.expect(200)["learner"].as_str().unwrap().to_owned();
    author.get("/v1/questions").await.expect(200);
    author.post("/v1/auth/renew", &json!({})).await.expect(200);
    assert_eq!(admin.delete(&format!("/v1/learners/{id}")).await.status, 204);
    author.get("/v1/questions").await.problem(401);
    author.post("/v1/auth/renew", &json!({})).await.problem(401);
}
