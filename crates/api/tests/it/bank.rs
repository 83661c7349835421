//! Authors at work on single questions.

use std::{sync::Arc, time::Duration};

use quizmentor_core::{Body, Level, Question, Status};
use quizmentor_testkit::{
    Installation,
    questions::{every_kind, question, statements},
};
use serde_json::json;

use crate::{learners::pages, sitting::Sitting};

fn path(question: &Question) -> String {
    format!("/v1/questions/{}", question.id)
}

#[tokio::test]
async fn every_kind_of_question_is_kept_as_written() {
    let installation = Installation::new(&[]).await;
    let author = installation.author().await;
    let mut bank = every_kind();
    bank.push(question("essay", "Žluťoučký kůň: 細胞 👩🏽‍🔬?", Body::Essay));
    bank[0].title = "  Power \"house\"\t".into();
    bank[1].tags = vec!["a".into(), "ž ž".into()];
    bank[2].difficulty = Some(5);
    bank[3].level = None;
    for question in &bank {
        author.get(&path(question)).await.problem(404);
        for status in [201, 200] {
            let written = author.put(&path(question), &json!(question)).await.expect(status);
            assert_eq!(written, json!(question));
        }
        assert_eq!(author.get(&path(question)).await.expect(200), json!(question));
    }
    let (listed, _) = pages(&author, "/v1/questions", "questions").await;
    assert_eq!(listed.len(), bank.len());
}

#[tokio::test]
async fn questions_are_listed_by_pages_and_filters() {
    let mut bank = statements(7);
    bank[0].stem = "A rhyme 100% on membranes".into();
    bank[1].tags = vec!["Exam".into()];
    bank[2].level = Some(Level::Apply);
    bank[3].status = Status::Draft;
    bank[4].skill = "physics/motion".parse().unwrap();
    let installation = Installation::new(&bank).await;
    let author = installation.author().await;
    let list = async |query: &str| {
        let (found, count) = pages(&author, &format!("/v1/questions{query}"), "questions").await;
        let id = |question: &serde_json::Value| question["id"].as_str().unwrap().to_owned();
        (found.iter().map(id).collect::<Vec<_>>(), count)
    };
    let all: Vec<_> = bank.iter().map(|question| question.id.to_string()).collect();
    for (limit, count) in [(1, 7), (3, 3), (7, 1), (500, 1)] {
        assert_eq!(list(&format!("?limit={limit}")).await, (all.clone(), count));
    }
    for (filter, expected) in [
        ("?text=rhyme", &["cell-0"][..]),
        ("?text=100%25", &["cell-0"]),
        ("?text=eXaM", &["cell-1"]),
        ("?text=%00", &[]),
        ("?level=apply", &["cell-2"]),
        ("?status=draft", &["cell-3"]),
        ("?status=archived", &[]),
        ("?subject=physics", &["cell-4"]),
        ("?skill=physics/motion", &["cell-4"]),
        ("?skill=physics%2Fmotion&level=apply", &[]),
        ("?after=cell-4", &["cell-5", "cell-6"]),
        ("?after=zzz", &[]),
    ] {
        assert_eq!(list(filter).await.0, expected, "{filter}");
    }
}

#[tokio::test]
async fn subjects_count_what_can_be_asked() {
    let mut bank = statements(4);
    bank[0].status = Status::Draft;
    bank[1].skill = "physics/motion".parse().unwrap();
    bank[1].subject_name = "Physics".into();
    bank[2].body = Body::Essay;
    let installation = Installation::new(&bank).await;
    let subjects = installation.anyone().get("/v1/subjects").await.expect(200);
    let subjects = subjects["subjects"].as_array().unwrap();
    let seen: Vec<_> = subjects.iter().map(|s| (&s["id"], &s["name"], &s["questions"])).collect();
    assert_eq!(
        seen,
        [
            (&json!("biology"), &json!("Biology"), &json!(1)),
            (&json!("physics"), &json!("Physics"), &json!(1)),
        ]
    );
    assert_eq!(subjects[0]["skills"][0]["by_level"], json!([1, 0, 0, 0, 0, 0]));
}

#[tokio::test]
async fn what_is_archived_is_asked_no_more() {
    let bank = statements(2);
    let installation = Installation::new(&bank).await;
    let (author, learner) = (installation.author().await, installation.learner().await);
    let mut sitting = Sitting::begin(&learner, json!({})).await;
    let pending = sitting.asked().unwrap().to_owned();
    let other = if pending == "cell-0" { "cell-1" } else { "cell-0" };
    for _ in 0..2 {
        author.delete(&format!("/v1/questions/{pending}")).await.expect(204);
    }
    author.delete("/v1/questions/unknown").await.problem(404);
    assert_eq!(
        author.get(&format!("/v1/questions/{pending}")).await.expect(200)["status"],
        "archived"
    );

    let next = learner.get(&sitting.path("/next")).await.expect(200);
    assert_eq!(next["next"]["question"]["id"], other);
    sitting.session = learner.get(&sitting.path("")).await.expect(200);
    assert_eq!(sitting.asked(), Some(other));
    sitting.answer(&bank, true).await;
    assert!(sitting.has_ended());

    author.delete(&format!("/v1/questions/{other}")).await.expect(204);
    assert!(Sitting::begin(&learner, json!({})).await.has_ended());
    let nothing = learner.get("/v1/subjects").await.expect(200);
    assert_eq!(nothing, json!({ "subjects": [] }));
    let answers = learner.get("/v1/me/answers").await.expect(200);
    assert_eq!(answers["answers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_whose_last_question_is_archived_ends() {
    let bank = statements(1);
    let installation = Installation::new(&bank).await;
    let (author, learner) = (installation.author().await, installation.learner().await);
    let sitting = Sitting::begin(&learner, json!({})).await;
    author.delete("/v1/questions/cell-0").await.expect(204);
    assert_eq!(learner.get(&sitting.path("/next")).await.expect(200), json!({ "next": null }));
    let session = learner.get(&sitting.path("")).await.expect(200);
    assert!(session["ended_at"].is_string(), "{session}");
}

#[tokio::test]
async fn who_was_asked_before_the_archiving_may_still_answer() {
    let bank = statements(3);
    let installation = Installation::new(&bank).await;
    let (author, learner) = (installation.author().await, installation.learner().await);
    let mut sitting = Sitting::begin(&learner, json!({})).await;
    author.delete(&format!("/v1/questions/{}", sitting.asked().unwrap())).await.expect(204);
    let reply = sitting.answer(&bank, true).await;
    assert_eq!(reply["answer"]["correct"], true, "{reply}");
    assert!(sitting.asked().is_some());
}

#[tokio::test]
async fn an_archived_question_can_be_published_again() {
    let bank = statements(1);
    let installation = Installation::new(&bank).await;
    let author = installation.author().await;
    author.delete("/v1/questions/cell-0").await.expect(204);
    author.put("/v1/questions/cell-0", &json!(bank[0])).await.expect(200);
    assert_eq!(Sitting::begin(&author, json!({})).await.asked(), Some("cell-0"));
}

#[tokio::test]
async fn a_question_rewritten_under_a_learner_can_still_be_answered() {
    let kinds = every_kind();
    for before in &kinds {
        for after in &kinds {
            let original = Question { id: "changing".parse().unwrap(), ..before.clone() };
            let rewritten = [Question { id: original.id.clone(), ..after.clone() }];
            let installation = Installation::new(&[original]).await;
            let (author, learner) = (installation.author().await, installation.learner().await);
            let mut sitting = Sitting::begin(&learner, json!({})).await;
            author.put("/v1/questions/changing", &json!(rewritten[0])).await.expect(200);
            sitting.session = learner.get(&sitting.path("")).await.expect(200);
            let reply = sitting.answer(&rewritten, true).await;
            assert_eq!(reply["answer"]["correct"], true, "{} → {}", before.id, after.id);
        }
    }
}

#[tokio::test]
async fn changes_made_in_the_records_are_followed() {
    let installation = Installation::new(&[]).await;
    let work = tokio::spawn(Arc::clone(&installation.app).follow_bank());
    installation.app.records.put_questions(&statements(3)).await.unwrap();
    let subjects = async || installation.anyone().get("/v1/subjects").await.expect(200);
    while subjects().await["subjects"] == json!([]) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(subjects().await["subjects"][0]["questions"], 3);
    work.abort();
}
