//! Classification and validation.

use quizmentor_testkit::{Installation, questions::every_kind};
use serde_json::json;

#[tokio::test]
async fn texts_are_classified_in_order() {
    let installation = Installation::new(&[]).await;
    let learner = installation.learner().await;
    let mut texts = ["What is the capital of France?", "Design an experiment on friction."];
    let classify = async |texts: &[&str]| {
        let texts = json!({ "texts": texts });
        let reply = learner.post("/v1/bloom/classify", &texts).await.expect(200);
        assert_eq!(reply["model"], installation.app.compute.model_version());
        reply["results"].as_array().unwrap().clone()
    };
    let mut results = classify(&texts).await;
    texts.reverse();
    let reversed = classify(&texts).await;
    results.reverse();
    assert_eq!(results, reversed);
    assert_ne!(results[0], results[1]);
    for result in results {
        let probabilities = result["probabilities"].as_object().unwrap();
        assert_eq!(probabilities.len(), 6);
        assert!(probabilities.values().all(|p| (0.0..=1.0).contains(&p.as_f64().unwrap())));
    }
}

#[tokio::test]
async fn a_batch_holds_up_to_64_texts_of_10_000_bytes() {
    let installation = Installation::new(&[]).await;
    let learner = installation.learner().await;
    let many = json!({ "texts": vec!["Name a cell."; 64] });
    let reply = learner.post("/v1/bloom/classify", &many).await.expect(200);
    assert_eq!(reply["results"].as_array().unwrap().len(), 64);
    let long = json!({ "texts": ["Name a cell. ".repeat(769)] });
    let reply = learner.post("/v1/bloom/classify", &long).await.expect(200);
    assert_eq!(reply["results"][0]["truncated"], true);
}

#[tokio::test]
async fn validation_tells_defects_from_flaws() {
    let installation = Installation::new(&[]).await;
    let learner = installation.learner().await;
    for question in every_kind() {
        let reply = learner.post("/v1/bloom/validate", &json!(question)).await.expect(200);
        assert_eq!(reply["defects"], json!([]), "{reply}");
        assert_eq!(reply["level"]["stated"], "remember");
    }
    let mut broken = json!(every_kind()[0]);
    broken["body"]["options"][0]["credit"] = json!(1);
    broken["body"]["options"][2]["text"] = json!("All of the above");
    let reply = learner.post("/v1/bloom/validate", &broken).await.expect(200);
    assert_eq!(reply["defects"][0]["field"], "body.options", "{reply}");
    let findings = reply["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["field"] == "body.options[2].text"), "{reply}");
    assert_eq!(learner.get("/v1/subjects").await.expect(200)["subjects"], json!([]));
}
