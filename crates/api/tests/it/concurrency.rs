//! Requests at the same time.

use futures_util::future::join_all;
use quizmentor_testkit::{Installation, questions::statements};
use serde_json::json;

use crate::sitting::Sitting;

const TASKS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_equal_answers_at_once_one_counts() {
    let bank = statements(5);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let sitting = Sitting::begin(&learner, json!({})).await;
    let (path, submission) = (sitting.path("/answers"), sitting.submission(&bank, true));
    let tasks = (0..TASKS).map(|_| {
        let (learner, path, submission) = (learner.clone(), path.clone(), submission.clone());
        tokio::spawn(async move { learner.post(&path, &submission).await.expect(200) })
    });
    let replies: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let firsts = replies.iter().filter(|reply| reply["answer"]["repeated"] == false).count();
    assert_eq!(firsts, 1);
    assert!(replies.iter().all(|reply| reply["session"] == replies[0]["session"]));
    assert_eq!(replies[0]["session"]["answered"], 1);
    let listed = learner.get("/v1/me/answers").await.expect(200);
    assert_eq!(listed["answers"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_different_answers_to_one_question_one_counts() {
    let bank = statements(5);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let sitting = Sitting::begin(&learner, json!({})).await;
    let path = sitting.path("/answers");
    let tasks = (0..TASKS).map(|_| {
        let (learner, path) = (learner.clone(), path.clone());
        let submission = sitting.submission(&bank, true);
        tokio::spawn(async move { learner.post(&path, &submission).await })
    });
    let replies: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let (taken, refused): (Vec<_>, Vec<_>) =
        replies.iter().partition(|reply| reply.status.is_success());
    assert_eq!(taken.len(), 1);
    for reply in refused {
        reply.problem(409);
    }
    assert_eq!(learner.get(&sitting.path("")).await.expect(200)["answered"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_sessions_of_a_learner_lose_no_update() {
    const ANSWERS: usize = 15;
    let bank = statements(40);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let request = json!({ "mode": "test" });
    let sittings =
        [Sitting::begin(&learner, request.clone()).await, Sitting::begin(&learner, request).await];
    let tasks = sittings.map(|mut sitting| {
        let bank = bank.clone();
        tokio::spawn(async move {
            for _ in 0..ANSWERS {
                sitting.answer(&bank, true).await;
            }
            sitting
        })
    });
    for sitting in join_all(tasks).await {
        assert_eq!(sitting.unwrap().session["answered"], ANSWERS);
    }
    let mastery = learner.get("/v1/me/mastery").await.expect(200);
    assert_eq!(mastery["overall"]["answers"], 2 * ANSWERS);
    let listed = learner.get("/v1/me/answers").await.expect(200);
    assert_eq!(listed["answers"].as_array().unwrap().len(), 2 * ANSWERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ending_and_answering_at_once_leaves_a_sound_session() {
    let bank = statements(5);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    for _ in 0..10 {
        let sitting = Sitting::begin(&learner, json!({})).await;
        let submission = sitting.submission(&bank, true);
        let (end, answers) = (sitting.path("/end"), sitting.path("/answers"));
        let nothing = json!({});
        let (ended, answered) =
            tokio::join!(learner.post(&end, &nothing), learner.post(&answers, &submission));
        ended.expect(200);
        assert!([200, 409].contains(&answered.status.as_u16()), "{}", answered.text());
        let session = learner.get(&sitting.path("")).await.expect(200);
        assert!(session["ended_at"].is_string() && session["next"].is_null(), "{session}");
        assert_eq!(session["answered"], u8::from(answered.status.is_success()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn learners_do_not_hinder_each_other() {
    let bank = statements(10);
    let installation = Installation::new(&bank).await;
    let clients = join_all((0..10).map(|_| installation.learner())).await;
    let tasks = clients.into_iter().map(|learner| {
        let bank = bank.clone();
        tokio::spawn(async move {
            let mut sitting = Sitting::begin(&learner, json!({ "mode": "test" })).await;
            while sitting.asked().is_some() {
                sitting.answer(&bank, true).await;
            }
            assert_eq!(sitting.session["answered"], 10);
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    let stored = installation.app.records.answers_after(0, 1_000).await.unwrap();
    let sequences: Vec<_> = stored.iter().map(|stored| stored.sequence).collect();
    assert_eq!(sequences, (1..=100).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn authors_who_write_at_once_lose_nothing() {
    let bank = statements(TASKS);
    let installation = Installation::new(&[]).await;
    let author = installation.author().await;
    let tasks = bank.iter().cloned().map(|question| {
        let author = author.clone();
        let body = json!(question);
        tokio::spawn(async move {
            author.put(&format!("/v1/questions/{}", question.id), &body).await.expect(201)
        })
    });
    join_all(tasks).await.into_iter().for_each(|written| drop(written.unwrap()));
    let subjects = author.get("/v1/subjects").await.expect(200);
    assert_eq!(subjects["subjects"][0]["questions"], TASKS);
}
