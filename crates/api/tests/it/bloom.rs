//! Classification and validation.

use std::sync::{Arc, Barrier};

use futures_util::FutureExt;
use quizmentor_bloom::Engine;
use quizmentor_testkit::{Installation, questions::every_kind};
use serde_json::json;

/// As many as the installation for tests has.
const WORKERS: usize = 2;

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
async fn words_that_moved_the_level_are_told_on_request() {
    let installation = Installation::new(&[]).await;
    let learner = installation.learner().await;
    let text = "Design an experiment on friction.";
    let request = json!({ "texts": [text], "explain": true });
    let reply = learner.post("/v1/bloom/classify", &request).await.expect(200);
    assert_eq!(reply["explanation"]["level"], reply["results"][0]["top"]);
    let words = reply["explanation"]["words"].as_array().unwrap();
    let strongest = words.iter().max_by(|a, b| {
        a["influence"].as_f64().unwrap().total_cmp(&b["influence"].as_f64().unwrap())
    });
    assert_eq!(strongest.unwrap()["word"], "Design", "{words:?}");
    let plain = learner.post("/v1/bloom/classify", &json!({ "texts": [text] })).await.expect(200);
    assert!(plain.get("explanation").is_none());
    let many = json!({ "texts": [text, text], "explain": true });
    learner.post("/v1/bloom/classify", &many).await.expect(422);
}

#[tokio::test]
async fn many_at_once_get_their_own_answers() {
    let installation = Installation::new(&[]).await;
    let compute = &installation.app.compute;
    let texts = |n: usize| vec![format!("Define the term number {n}."), "Why?".to_owned()];
    let answers = futures_util::future::join_all((0..40).map(|n| compute.classify(texts(n)))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        let alone = compute.classify(texts(n)).await.unwrap();
        assert_eq!(answer.unwrap(), alone, "request {n}");
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_forgets_those_who_left() {
    let installation = Installation::new(&[]).await;
    let compute = &installation.app.compute;
    let gate = Arc::new(Barrier::new(WORKERS + 1));
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..WORKERS {
        let (compute, gate, started) = (compute.clone(), Arc::clone(&gate), started.clone());
        tokio::spawn(async move {
            let hold = move |_: &Engine| {
                started.send(()).unwrap();
                gate.wait();
            };
            compute.run(hold).await.unwrap();
        });
    }
    for _ in 0..WORKERS {
        starts.recv().await.unwrap();
    }
    let ask = |n: usize| Box::pin(compute.classify(vec![format!("Define {n}.")]));
    let mut waiting: Vec<_> = (0..64).map(ask).collect();
    for request in &mut waiting {
        assert!(request.now_or_never().is_none());
    }
    let refused = ask(64).await.unwrap_err();
    assert_eq!((refused.status, refused.retry_after), (429, Some(1)));
    drop(waiting.remove(0));
    let mut late = ask(65);
    assert!((&mut late).now_or_never().is_none());
    gate.wait();
    assert_eq!(late.await.unwrap().len(), 1);
    for request in waiting {
        assert_eq!(request.await.unwrap().len(), 1);
    }
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
