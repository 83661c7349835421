//! From a question to its feedback and the next one.

use quizmentor_core::{Body, SignedDuration};
use quizmentor_testkit::{
    Installation,
    questions::{SECRET, every_kind, statements},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sitting::Sitting;

#[tokio::test]
async fn every_kind_of_question_can_be_answered() {
    for question in every_kind() {
        let bank = [question];
        let installation = Installation::new(&bank).await;
        for right in [false, true] {
            let learner = installation.learner().await;
            let mut sitting = Sitting::begin(&learner, json!({})).await;
            let reply = sitting.answer(&bank, right).await;
            let answer = &reply["answer"];
            assert_eq!(answer["correct"], right, "{reply}");
            assert_eq!(answer["credit"], f64::from(u8::from(right)), "{reply}");
            assert_eq!(answer["repeated"], false);
            assert_eq!(answer["question"], bank[0].id.as_str());
            assert_eq!(answer["key"], json!(bank[0].key_text()));
            assert_eq!(answer["explanation"], bank[0].explanation);
            assert_eq!(reply["session"]["answered"], 1);
            assert_eq!(reply["session"]["correct"], u8::from(right));
            let (before, after) = (&reply["progress"]["before"], &reply["progress"]["after"]);
            assert_eq!(before.as_f64() < after.as_f64(), right, "{reply}");
        }
    }
}

#[tokio::test]
async fn feedback_and_key_positions_fit_what_was_shown() {
    for question in every_kind() {
        let bank = [question];
        let installation = Installation::new(&bank).await;
        let mut sitting = Sitting::begin(&installation.learner().await, json!({})).await;
        let options = sitting.session["next"]["question"]["body"]["options"].clone();
        let answer = sitting.answer(&bank, true).await["answer"].clone();
        let marked: Vec<&Value> = answer["key_positions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|position| &options[position.as_u64().unwrap() as usize])
            .collect();
        match &bank[0].body {
            Body::SingleChoice { .. } => assert_eq!(marked, ["Mitochondrion"]),
            Body::MultipleChoice { .. } => {
                assert!(marked.len() == 2 && marked.contains(&&json!("Nucleus")), "{marked:?}");
            }
            _ => assert!(marked.is_empty()),
        }
        let silent = matches!(bank[0].body, Body::Matching { .. });
        assert_eq!(answer["feedback"].as_str().unwrap().contains(SECRET), !silent, "{answer}");
    }
}

#[tokio::test]
async fn credit_can_be_partial() {
    let bank = every_kind();
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let mut sitting = Sitting::begin(&learner, json!({ "mode": "test" })).await;
    let mut checked = 0;
    while let Some(asked) = sitting.asked() {
        let partial = match asked {
            "multiple" => {
                let mut whole = sitting.submission(&bank, true)["response"].clone();
                whole["options"].as_array_mut().unwrap().pop();
                Some((whole, 0.5))
            }
            "short" => Some((json!({ "text": " ADENOSINE  triphosphate" }), 0.5)),
            "match" => {
                let mut whole = sitting.submission(&bank, true)["response"].clone();
                whole["answers"][0] = whole["answers"][1].clone();
                Some((whole, 2.0 / 3.0))
            }
            _ => None,
        };
        let Some((response, credit)) = partial else {
            sitting.answer(&bank, true).await;
            continue;
        };
        let answer = json!({ "id": Uuid::new_v4(), "question": asked, "response": response });
        let reply = learner.post(&sitting.path("/answers"), &answer).await.expect(200);
        assert!((reply["answer"]["credit"].as_f64().unwrap() - credit).abs() < 1e-9, "{reply}");
        assert_eq!(reply["answer"]["correct"], false);
        sitting.session = reply["session"].clone();
        checked += 1;
    }
    assert_eq!(checked, 3);
}

#[tokio::test]
async fn nothing_gives_the_key_away_before_the_answer() {
    for question in every_kind() {
        let bank = [question];
        let installation = Installation::new(&bank).await;
        let learner = installation.learner().await;
        let begun = learner.post("/v1/sessions", &json!({})).await;
        let path = format!("/v1/sessions/{}", begun.expect(201)["id"].as_str().unwrap());
        let next = format!("{path}/next");
        let mut replies = vec![begun];
        for path in [&path, &next, "/v1/sessions", "/v1/subjects", "/v1/me/mastery"] {
            replies.push(learner.get(path).await);
        }
        for reply in replies {
            let text = reply.text();
            for secret in [SECRET, "\"key", "credit\"", "explanation", "feedback", "accepted"] {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
    }
    let short = every_kind().remove(3);
    let number = every_kind().remove(4);
    for (question, key) in [(short, "ATP"), (number, "23")] {
        let installation = Installation::new(&[question]).await;
        let sitting = Sitting::begin(&installation.learner().await, json!({})).await;
        let presented = sitting.session["next"]["question"].to_string();
        assert!(!presented.contains(key), "{presented}");
    }
}

#[tokio::test]
async fn the_question_stays_until_it_is_answered() {
    let bank = statements(5);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let mut sitting = Sitting::begin(&learner, json!({})).await;
    let shown = sitting.session["next"].clone();
    assert_eq!(learner.get(&sitting.path("/next")).await.expect(200)["next"], shown);
    assert_eq!(learner.get(&sitting.path("")).await.expect(200), sitting.session);
    sitting.answer(&bank, true).await;
    assert_ne!(sitting.asked(), shown["question"]["id"].as_str());
    assert!(!shown["why"]["sentence"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_sent_twice_counts_once() {
    let bank = every_kind();
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let sitting = Sitting::begin(&learner, json!({})).await;
    let submission = sitting.submission(&bank, true);
    let first = learner.post(&sitting.path("/answers"), &submission).await.expect(200);
    installation.clock.advance(SignedDuration::from_secs(5));
    let again = learner.post(&sitting.path("/answers"), &submission).await.expect(200);
    assert_eq!(again["answer"]["repeated"], true);
    for field in ["id", "question", "correct", "credit", "feedback", "key", "explanation", "at"] {
        assert_eq!(again["answer"][field], first["answer"][field], "{field}");
    }
    assert_eq!(again["session"], first["session"]);
    let listed = learner.get("/v1/me/answers").await.expect(200);
    assert_eq!(listed["answers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_id_is_good_for_one_session_of_one_learner() {
    let bank = statements(5);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let first = Sitting::begin(&learner, json!({})).await;
    let submission = first.submission(&bank, true);
    learner.post(&first.path("/answers"), &submission).await.expect(200);
    for client in [learner, installation.learner().await] {
        let other = Sitting::begin(&client, json!({})).await;
        let mut stolen = other.submission(&bank, true);
        stolen["id"] = submission["id"].clone();
        let problem = client.post(&other.path("/answers"), &stolen).await.problem(409);
        assert!(problem["detail"].as_str().unwrap().contains("id is taken"), "{problem}");
        assert_eq!(client.get(&other.path("")).await.expect(200)["answered"], 0);
    }
}

#[tokio::test]
async fn another_question_than_the_one_asked_is_a_conflict() {
    let bank = statements(5);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let mut sitting = Sitting::begin(&learner, json!({})).await;
    let late = sitting.submission(&bank, true);
    sitting.answer(&bank, true).await;
    let problem = learner.post(&sitting.path("/answers"), &late).await.problem(409);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(sitting.asked().unwrap()), "{detail}");
    assert!(detail.contains(late["question"].as_str().unwrap()), "{detail}");
}

#[tokio::test]
async fn an_ended_session_takes_no_answer() {
    let bank = statements(5);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let sitting = Sitting::begin(&learner, json!({})).await;
    let submission = sitting.submission(&bank, true);
    let ended = learner.post(&sitting.path("/end"), &json!({})).await.expect(200);
    assert!(ended["next"].is_null() && ended["ended_at"].is_string(), "{ended}");
    installation.clock.advance(SignedDuration::from_secs(5));
    assert_eq!(learner.post(&sitting.path("/end"), &json!({})).await.expect(200), ended);
    let problem = learner.post(&sitting.path("/answers"), &submission).await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("has ended"), "{problem}");
    assert_eq!(learner.get(&sitting.path("/next")).await.expect(200), json!({ "next": null }));
}

#[tokio::test]
async fn a_session_stays_within_its_subject_and_skills() {
    let mut bank = statements(4);
    for (question, skill) in bank.iter_mut().zip(["physics/motion", "biology/genes"]) {
        question.skill = skill.parse().unwrap();
    }
    let installation = Installation::new(&bank).await;
    for (request, allowed) in [
        (json!({ "mode": "test", "subject": "physics" }), vec!["physics/motion"]),
        (json!({ "mode": "test", "skills": ["biology/genes"] }), vec!["biology/genes"]),
        (json!({ "mode": "test", "subject": "biology" }), vec!["biology/genes", "biology/cells"]),
    ] {
        let mut sitting = Sitting::begin(&installation.learner().await, request).await;
        let mut met = Vec::new();
        while sitting.asked().is_some() {
            met.push(sitting.session["next"]["question"]["skill"].as_str().unwrap().to_owned());
            sitting.answer(&bank, true).await;
        }
        met.sort();
        met.dedup();
        let mut allowed = allowed;
        allowed.sort_unstable();
        assert_eq!(met, allowed);
    }
}
