//! What is learned from the log of answers: states, models, calibration, policies compared.

use std::{num::NonZeroU16, sync::Arc, time::Duration};

use quizmentor_adaptive::evaluate::{BadRows, policies};
use quizmentor_api::{App, Components, Experiment, LocalIdentity, rebuilt_states};
use quizmentor_core::{Question, SignedDuration, Status};
use quizmentor_services::flags::Shares;
use quizmentor_store::records::{Records, SnapshotInfo};
use quizmentor_testkit::{
    Client, Installation,
    questions::{every_kind, statements},
};
use serde_json::{Value, json};

use crate::sitting::Sitting;

/// Lets the background learn until the version of its snapshot is at least `version`.
async fn learn(app: &Arc<App>, version: u64) {
    let learning = tokio::spawn(Arc::clone(app).learn_model());
    for _ in 0..600 {
        let info = app.records.latest_snapshot_info().await.unwrap();
        let published = info.map_or(0, |info| info.version);
        if published >= version {
            // The routes get the model right after the records.
            tokio::time::sleep(Duration::from_millis(300)).await;
            learning.abort();
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no snapshot {version}");
}

async fn practise(
    installation: &Installation,
    learner: &Client,
    bank: &[Question],
    answers: usize,
) {
    let mut sitting = Sitting::begin(learner, json!({})).await;
    for n in 0..answers {
        sitting.answer(bank, n % 3 != 1).await;
        installation.clock.advance(SignedDuration::from_mins(n as i64 % 7 * 31));
    }
}

async fn assert_rebuilt(records: &dyn Records, learners: usize) {
    let rebuilt = rebuilt_states(records).await.unwrap();
    assert_eq!(rebuilt.len(), learners);
    for (id, state) in rebuilt {
        let stored = records.learner_state(id).await.unwrap().unwrap();
        assert!(stored.bytes == state.encode(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_learned_anew_from_the_log_are_those_stored() {
    let mut bank = [statements(12), every_kind()].concat();
    bank[3].status = Status::Pilot;
    let installation = Installation::new(&bank).await;
    let learners =
        [installation.learner().await, installation.learner().await, installation.learner().await];
    for learner in &learners {
        practise(&installation, learner, &bank, 180).await;
    }
    learn(&installation.app, 1).await;
    // Questions change; what they were stays in the log.
    bank[0].difficulty = Some(5);
    bank[0].skill_name = "Cells".into();
    bank[3].status = Status::Published;
    bank[5].status = Status::Archived;
    installation.app.records.put_questions(&bank).await.unwrap();
    let author = installation.author().await;
    author.put("/v1/questions/cell-0", &serde_json::to_value(&bank[0]).unwrap()).await.expect(200);
    for learner in &learners {
        practise(&installation, learner, &bank, 190).await;
    }
    // The learning was broken off and goes on.
    learn(&installation.app, 2).await;
    practise(&installation, &learners[0], &bank, 20).await;
    assert_rebuilt(installation.app.records.as_ref(), 3).await;
    let log = installation.app.records.answers_after(0, 10_000).await.unwrap();
    let versions: std::collections::BTreeSet<_> = log.iter().map(|a| a.answer.snapshot).collect();
    assert_eq!(versions.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_go_when_they_are_old_and_learned_from_and_what_was_learned_stays() {
    let bank = statements(12);
    let installation = Installation::new(&bank).await;
    let app = Arc::clone(&installation.app);
    let learner = installation.learner().await;
    let left = async || app.records.answers_after(0, 1_000).await.unwrap().len();
    practise(&installation, &learner, &bank, 510).await;
    installation.clock.advance(SignedDuration::from_hours(45 * 24));
    app.tend_months_once(None).await.unwrap();
    app.tend_months_once(NonZeroU16::new(1)).await.unwrap();
    assert_eq!(left().await, 510, "nothing was learned of them yet");
    learn(&app, 1).await;
    practise(&installation, &learner, &bank, 5).await;
    app.tend_months_once(NonZeroU16::new(12)).await.unwrap();
    assert_eq!(left().await, 515, "they are not old enough");
    app.tend_months_once(NonZeroU16::new(1)).await.unwrap();
    assert_eq!(left().await, 5);
    practise(&installation, &learner, &bank, 5).await;
    assert_eq!(left().await, 10);
    let mastery = learner.get("/v1/me/mastery").await.expect(200);
    assert_eq!(mastery["overall"]["answers"], 520);
    let own = learner.get("/v1/me/answers").await.expect(200);
    assert_eq!(own["answers"].as_array().unwrap().len(), 10);
}

fn reopened(installation: &Installation) -> Components {
    let app = &installation.app;
    Components {
        records: Arc::clone(&app.records),
        cache: Arc::clone(&app.cache),
        vectors: Arc::clone(&app.vectors),
        compute: app.compute.clone(),
        issuer: LocalIdentity::new(&[7; 32]),
        identity: Arc::new(LocalIdentity::new(&[7; 32])),
        clock: Arc::clone(&app.clock),
        flags: Arc::new(Shares::default()),
        experiment: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_model_is_learned_again_from_the_start() {
    let bank = statements(12);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    practise(&installation, &learner, &bank, 510).await;
    learn(&installation.app, 1).await;
    let records = Arc::clone(&installation.app.records);
    let last = records.latest_snapshot_info().await.unwrap().unwrap();
    let broken = SnapshotInfo { version: last.version + 1, ..last };
    records.put_snapshot(broken, b"nonsense").await.unwrap();
    let app = App::open(reopened(&installation)).await.unwrap();
    practise(&installation, &learner, &bank, 510).await;
    learn(&app, broken.version + 1).await;
    let snapshot = records.latest_snapshot().await.unwrap().unwrap();
    let learned = quizmentor_adaptive::Snapshot::decode(&snapshot.bytes).unwrap();
    assert_eq!(learned.model.answers(), snapshot.info.upto_sequence);
    assert!(learned.model.answers() >= 1_000);
}

/// Answers every statement but `odd` well or badly, and `odd` the other way round.
async fn sit(learner: &Client, bank: &[Question], odd: &str, is_strong: bool) {
    let mut sitting = Sitting::begin(learner, json!({ "mode": "test" })).await;
    while let Some(asked) = sitting.asked() {
        let right = (asked == odd) != is_strong;
        sitting.answer(bank, right).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authors_see_how_questions_do_and_which_key_looks_wrong() {
    let bank = statements(12);
    let installation = Installation::new(&bank).await;
    for n in 0..50 {
        sit(&installation.learner().await, &bank, "cell-7", n % 2 == 0).await;
    }
    let author = installation.author().await;
    let before = author.get("/v1/questions/cell-7/calibration").await.expect(200);
    assert_eq!((&before["answers"], &before["flags"]), (&json!(0), &json!([])));
    learn(&installation.app, 1).await;
    let odd = author.get("/v1/questions/cell-7/calibration").await.expect(200);
    assert_eq!(odd["key_suspect"], 1, "{odd}");
    assert!(odd["flags"].as_array().unwrap().contains(&json!("key_suspect")), "{odd}");
    assert!(odd["options"][1]["point_biserial"].as_f64().unwrap() > 0.2, "{odd}");
    assert!(odd["exposure"].as_f64().unwrap() > 0.9, "{odd}");
    let sound = author.get("/v1/questions/cell-1/calibration").await.expect(200);
    assert_eq!(sound["key_suspect"], Value::Null, "{sound}");
    assert!(sound["discrimination"].as_f64().unwrap() > 1.0, "steeper than before: {sound}");
    let flagged = author.get("/v1/calibration").await.expect(200);
    let suspect: Vec<_> = flagged["questions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|question| &question["calibration"])
        .filter(|found| found["flags"].as_array().unwrap().contains(&json!("key_suspect")))
        .map(|found| &found["question"])
        .collect();
    assert_eq!(suspect, ["cell-7"]);
    let elsewhere = author.get("/v1/calibration?subject=physics").await.expect(200);
    assert_eq!(elsewhere, json!({ "questions": [] }));
    author.get("/v1/questions/unknown/calibration").await.problem(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_policies_are_compared_online_and_from_the_exported_log() {
    let bank = [statements(12), every_kind()].concat();
    let mut installation = Installation::new(&bank).await;
    let experiment = Experiment::new("aim", "practice-1", "practice-2").unwrap();
    let components = Components {
        flags: Arc::new(Shares::from_iter([("aim".to_owned(), 0.5)])),
        experiment: Some(experiment),
        ..reopened(&installation)
    };
    installation.reopen(components).await;
    for _ in 0..12 {
        practise(&installation, &installation.learner().await, &bank, 45).await;
    }
    learn(&installation.app, 1).await;
    let author = installation.author().await;
    author.get("/v1/experiments/other").await.problem(404);
    let report = author.get("/v1/experiments/aim").await.expect(200);
    let n = |arm: &str| report[arm]["n"].as_u64().unwrap();
    assert!(n("control") > 0 && n("treatment") > 0, "{report}");
    assert_eq!(report["share"], 0.5);
    assert!(report["difference"]["low"].as_f64() < report["difference"]["high"].as_f64());
    let admin = installation.admin().await;
    let first = admin.get("/v1/answers?limit=100").await;
    assert_eq!(first.status, 200);
    let after = first.header("x-next-after").to_owned();
    assert_eq!((after.as_str(), first.text().lines().count()), ("100", 101));
    let rest = admin.get(&format!("/v1/answers?after={after}")).await;
    let log = [first.text(), rest.text().split_once('\n').unwrap().1].concat();
    let offline = policies(log.as_bytes(), "practice-1", "practice-2", BadRows::Refuse).unwrap();
    let online = &report["control"]["reward"]["mean"];
    let served = offline.serving.unwrap();
    assert!(served.n >= n("control"));
    assert!((served.reward.mean - online.as_f64().unwrap()).abs() < 0.1);
    assert_eq!(offline.candidate_off_policy.n, served.n);
    assert!(offline.candidate_served.unwrap().n >= n("treatment"));
    let robust = offline.candidate_off_policy.doubly_robust.unwrap();
    assert!((0.0..=1.0).contains(&robust.mean) && robust.low < robust.high, "{robust:?}");
    let same = policies(log.as_bytes(), "practice-1", "practice-1", BadRows::Refuse).unwrap();
    let inverse = same.candidate_off_policy.inverse_propensity.unwrap();
    assert!((inverse.mean - served.reward.mean).abs() < 1e-9, "a policy is worth what it earned");
}

#[tokio::test]
async fn a_repeated_answer_shows_no_key_of_a_question_rewritten_since() {
    let mut bank = every_kind();
    bank.truncate(1);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let sitting = Sitting::begin(&learner, json!({})).await;
    let submission = sitting.submission(&bank, true);
    let path = sitting.path("/answers");
    let given = learner.post(&path, &submission).await.expect(200);
    assert_eq!(
        (&given["answer"]["changed"], &given["answer"]["scored"]),
        (&json!(false), &json!(true))
    );
    bank[0].stem = "Which organelle makes proteins?".into();
    let author = installation.author().await;
    author.put("/v1/questions/single", &serde_json::to_value(&bank[0]).unwrap()).await.expect(200);
    let again = learner.post(&path, &submission).await.expect(200);
    let answer = &again["answer"];
    assert_eq!((&answer["correct"], &answer["repeated"]), (&json!(true), &json!(true)));
    assert_eq!((&answer["changed"], &answer["key"]), (&json!(true), &json!([])));
    assert_eq!((&answer["explanation"], &answer["feedback"]), (&json!(""), &json!("")));
}
