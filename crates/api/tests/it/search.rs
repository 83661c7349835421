//! Search by meaning, over what the background work has read.

use std::{sync::Arc, time::Duration};

use quizmentor_core::{Body, Question, Status};
use quizmentor_testkit::{Client, Installation, questions::question};
use serde_json::{Value, json};

fn bank() -> Vec<Question> {
    let key = || Body::TrueFalse {
        key: true,
        feedback_right: String::new(),
        feedback_wrong: String::new(),
    };
    let texts = [
        ("energy", "Mitochondria produce the energy of the cell."),
        ("energy-again", "Mitochondria produce the energy of a cell."),
        ("inflation", "A central bank raises interest rates to slow inflation."),
        ("volcano", "Volcanoes form where tectonic plates meet."),
        ("sonnet", "A sonnet has fourteen lines."),
    ];
    let mut bank: Vec<_> = texts.map(|(id, stem)| question(id, stem, key())).into();
    bank[2].skill = "economics/money".parse().unwrap();
    bank[4].status = Status::Draft;
    bank
}

/// Waits until `count` questions can be searched.
async fn analyzed(installation: &Installation, count: usize) {
    while installation.app.vectors.len().await.unwrap() != count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn found(client: &Client, path: &str) -> Vec<String> {
    let reply = client.get(path).await.expect(200);
    let found = reply["found"].as_array().unwrap();
    let similarity = |found: &Value| found["similarity"].as_f64().unwrap();
    assert!(found.is_sorted_by(|a, b| similarity(a) >= similarity(b)), "{reply}");
    found.iter().map(|found| found["question"]["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn questions_are_found_by_meaning() {
    let installation = Installation::new(&bank()).await;
    let author = installation.author().await;
    let work = tokio::spawn(Arc::clone(&installation.app).analyze_questions());
    analyzed(&installation, 5).await;

    let search = "/v1/questions/search?q=";
    assert_eq!(found(&author, &format!("{search}monetary%20policy&limit=1")).await, ["inflation"]);
    let energy = found(&author, &format!("{search}how%20do%20cells%20get%20energy")).await;
    assert_eq!(energy.len(), 5);
    assert!(energy[..2].iter().all(|id| id.starts_with("energy")), "{energy:?}");
    let economics = found(&author, &format!("{search}energy&subject=economics")).await;
    assert_eq!(economics, ["inflation"]);
    assert!(found(&author, &format!("{search}energy&level=create")).await.is_empty());

    assert_eq!(found(&author, "/v1/questions/energy/similar").await, ["energy-again"]);
    assert!(found(&author, "/v1/questions/volcano/similar").await.is_empty());
    assert_eq!(found(&author, "/v1/questions/energy/related?limit=1").await, ["energy-again"]);
    author.get("/v1/questions/absent/related").await.problem(404);
    for (filter, expected) in [
        ("skill=economics/money", vec!["inflation"]),
        ("status=draft", vec!["sonnet"]),
        ("language=fra", vec![]),
    ] {
        assert_eq!(found(&author, &format!("{search}energy&{filter}")).await, expected);
    }
    author.get("/v1/questions/unknown/similar").await.problem(404);

    author.delete("/v1/questions/energy-again").await.expect(204);
    analyzed(&installation, 4).await;
    assert!(found(&author, "/v1/questions/energy/similar").await.is_empty());
    work.abort();
}

#[tokio::test]
async fn a_changed_stem_is_read_anew() {
    let installation = Installation::new(&bank()[2..4]).await;
    let author = installation.author().await;
    let work = tokio::spawn(Arc::clone(&installation.app).analyze_questions());
    analyzed(&installation, 2).await;
    let search = "/v1/questions/search?limit=1&q=mitochondria";
    let similarity =
        async || author.get(search).await.expect(200)["found"][0]["similarity"].as_f64().unwrap();
    let before = similarity().await;
    let mut volcano = json!(bank()[3]);
    volcano["stem"] = json!("Mitochondria have two membranes.");
    author.put("/v1/questions/volcano", &volcano).await.expect(200);
    while similarity().await == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(found(&author, search).await, ["volcano"]);
    work.abort();
}

#[tokio::test]
async fn a_level_is_found_for_questions_without_one() {
    let mut plain = bank().remove(3);
    plain.level = None;
    let installation = Installation::new(&[plain]).await;
    let learner = installation.learner().await;
    let work = tokio::spawn(Arc::clone(&installation.app).analyze_questions());
    let levels =
        async || learner.get("/v1/me/mastery").await.expect(200)["skills"][0]["levels"].clone();
    while levels().await == json!([]) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(levels().await[0]["estimate"]["items"], 1);
    work.abort();
}
