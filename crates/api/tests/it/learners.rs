//! What a learner sees of its own work.

use quizmentor_testkit::{Client, Installation, questions::statements};
use serde_json::{Value, json};

use crate::sitting::Sitting;

/// The items of all pages of a list, and how many pages there were.
pub(crate) async fn pages(client: &Client, path: &str, list: &str) -> (Vec<Value>, usize) {
    let mut items = Vec::new();
    let mut after = String::new();
    for count in 1.. {
        let page = client.get(&format!("{path}{after}")).await.expect(200);
        items.extend(page[list].as_array().unwrap().iter().cloned());
        let separator = if path.contains('?') { '&' } else { '?' };
        match &page["next"] {
            Value::Null => return (items, count),
            Value::String(cursor) => after = format!("{separator}after={cursor}"),
            cursor => after = format!("{separator}after={cursor}"),
        }
    }
    unreachable!("the loop has no end of its own")
}

#[tokio::test]
async fn answers_are_listed_by_pages() {
    let bank = statements(6);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let mut other = Sitting::begin(&installation.learner().await, json!({})).await;
    let mut sitting = Sitting::begin(&learner, json!({ "mode": "test" })).await;
    let mut given = Vec::new();
    for number in 0..6 {
        other.answer(&bank, true).await;
        given.push(sitting.answer(&bank, number % 3 == 0).await["answer"]["id"].clone());
    }
    for (limit, expected) in [(1, 6), (2, 3), (4, 2), (6, 1), (200, 1)] {
        let path = format!("/v1/me/answers?limit={limit}");
        let (answers, count) = pages(&learner, &path, "answers").await;
        let ids: Vec<_> = answers.iter().map(|answer| answer["id"].clone()).collect();
        assert_eq!(ids, given, "{limit} a page");
        assert_eq!(count, expected, "{limit} a page");
        let right: Vec<_> = answers.iter().map(|answer| answer["correct"] == true).collect();
        assert_eq!(right, [true, false, false, true, false, false]);
        assert!(answers.iter().all(|answer| answer["session"] == sitting.id()));
    }
    let end = learner.get(&format!("/v1/me/answers?after={}", u64::MAX)).await.expect(200);
    assert_eq!(end, json!({ "answers": [] }));
}

#[tokio::test]
async fn sessions_are_listed_by_pages_the_latest_first() {
    let installation = Installation::new(&statements(2)).await;
    let learner = installation.learner().await;
    Sitting::begin(&installation.learner().await, json!({})).await;
    let mut begun = Vec::new();
    for _ in 0..100 {
        begun.insert(0, Sitting::begin(&learner, json!({})).await.session);
        installation.clock.advance(quizmentor_core::SignedDuration::from_secs(1));
    }
    let (sessions, count) = pages(&learner, "/v1/sessions", "sessions").await;
    assert_eq!(sessions, begun);
    assert_eq!(count, 2);
}

#[tokio::test]
async fn mastery_rises_with_right_answers() {
    let bank = statements(12);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let overall = async || learner.get("/v1/me/mastery").await.expect(200)["overall"].clone();
    let before = overall().await;
    let mut sitting = Sitting::begin(&learner, json!({ "mode": "test" })).await;
    for _ in 0..8 {
        sitting.answer(&bank, true).await;
    }
    let after = overall().await;
    assert_eq!((&before["answers"], &after["answers"]), (&json!(0), &json!(8)));
    assert!(after["probability"].as_f64() > before["probability"].as_f64(), "{after}");
    assert!(after["low"].as_f64() < after["probability"].as_f64(), "{after}");
    assert!(after["probability"].as_f64() < after["high"].as_f64(), "{after}");
    let mastery = learner.get("/v1/me/mastery").await.expect(200);
    assert_eq!(mastery["skills"][0]["skill"], "biology/cells");
    assert_eq!(mastery["skills"][0]["levels"][0]["level"], "remember");
}
