//! Practice, review and test.

use std::collections::HashSet;

use quizmentor_core::{SignedDuration, limits};
use quizmentor_testkit::{
    Installation,
    questions::{every_kind, statements},
};
use serde_json::json;

use crate::sitting::Sitting;

/// Answers until the session ends; what was asked.
async fn asked_until_the_end(
    sitting: &mut Sitting,
    bank: &[quizmentor_core::Question],
) -> Vec<String> {
    let mut asked = Vec::new();
    while let Some(question) = sitting.asked() {
        asked.push(question.to_owned());
        sitting.answer(bank, asked.len() % 2 == 0).await;
    }
    assert!(sitting.has_ended());
    asked
}

#[tokio::test]
async fn a_test_ends_at_its_length_and_never_repeats() {
    for (size, length) in [(limits::TEST_LENGTH + 5, limits::TEST_LENGTH), (4, 4)] {
        let bank = statements(size);
        let installation = Installation::new(&bank).await;
        let learner = installation.learner().await;
        let mut sitting = Sitting::begin(&learner, json!({ "mode": "test" })).await;
        let asked = asked_until_the_end(&mut sitting, &bank).await;
        assert_eq!(asked.len(), length);
        assert_eq!(asked.iter().collect::<HashSet<_>>().len(), length, "{asked:?}");
        let session = learner.get(&sitting.path("")).await.expect(200);
        assert_eq!(session["answered"], length);
        assert_eq!(session["correct"], length / 2);
    }
}

#[tokio::test]
async fn a_new_test_may_ask_what_an_old_one_asked() {
    let bank = statements(4);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    for expected in [4, 3] {
        let mut sitting = Sitting::begin(&learner, json!({ "mode": "test" })).await;
        // The item answered last waits for another in between.
        let asked = asked_until_the_end(&mut sitting, &bank).await.len();
        assert!((expected..=4).contains(&asked), "{asked}");
    }
}

#[tokio::test]
async fn practice_goes_on_as_long_as_the_learner_wants() {
    let bank = statements(limits::TEST_LENGTH + 10);
    let installation = Installation::new(&bank).await;
    let mut sitting = Sitting::begin(&installation.learner().await, json!({})).await;
    for _ in 0..limits::TEST_LENGTH + 5 {
        sitting.answer(&bank, false).await;
        installation.clock.advance(SignedDuration::from_secs(30));
    }
    assert!(sitting.asked().is_some());
}

#[tokio::test]
async fn reviews_fall_due_with_time() {
    let bank = every_kind();
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let review = json!({ "mode": "review" });
    assert!(Sitting::begin(&learner, review.clone()).await.has_ended());
    let nothing = learner.get("/v1/me/reviews").await.expect(200);
    assert_eq!(nothing, json!({ "due": [], "next_due": null }));

    let mut practice = Sitting::begin(&learner, json!({})).await;
    let mut answered = HashSet::new();
    for _ in 0..3 {
        answered.insert(practice.asked().unwrap().to_owned());
        practice.answer(&bank, true).await;
    }
    assert_eq!(answered.len(), 3);
    assert!(Sitting::begin(&learner, review.clone()).await.has_ended());
    let waiting = learner.get("/v1/me/reviews").await.expect(200);
    assert_eq!(waiting["due"], json!([]));
    assert!(waiting["next_due"].is_string());

    installation.clock.advance(SignedDuration::from_hours(24 * 40));
    let due = learner.get("/v1/me/reviews").await.expect(200);
    let due = due["due"].as_array().unwrap();
    assert_eq!(due.len(), 3);
    for review in due {
        assert!(answered.contains(review["question"].as_str().unwrap()), "{review}");
        assert!(review["retrievability"].as_f64().unwrap() <= 0.9, "{review}");
    }
    let mut sitting = Sitting::begin(&learner, review).await;
    assert_eq!(sitting.session["next"]["why"]["reason"], "due_review");
    let asked: HashSet<_> = asked_until_the_end(&mut sitting, &bank).await.into_iter().collect();
    assert_eq!(asked, answered);
    assert_eq!(learner.get("/v1/me/reviews").await.expect(200)["due"], json!([]));
}

#[tokio::test]
async fn an_empty_bank_ends_every_session_at_once() {
    let installation = Installation::new(&[]).await;
    let learner = installation.learner().await;
    for mode in ["practice", "review", "test"] {
        assert!(Sitting::begin(&learner, json!({ "mode": mode })).await.has_ended());
    }
}
