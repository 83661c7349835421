//! Tests that measure, pilots, flow, prerequisites, paths and plans.

use std::collections::HashMap;

use quizmentor_core::{Level, Question, SignedDuration, SkillId, Status};
use quizmentor_testkit::{Installation, questions::statements};
use serde_json::{Value, json};

use crate::sitting::Sitting;

/// Statements on two skills and two levels.
fn bank() -> Vec<Question> {
    let mut bank = statements(60);
    for (n, question) in bank.iter_mut().enumerate() {
        if n % 2 == 1 {
            question.skill = SkillId::new("biology/genes").unwrap();
            question.skill_name = "Genes".into();
        }
        question.level = Some(if n % 4 < 2 { Level::Remember } else { Level::Apply });
        question.difficulty = Some((n % 5) as u8 + 1);
    }
    bank
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[tokio::test]
async fn a_blueprint_shares_a_test_among_skills_and_levels() {
    let bank = bank();
    let installation = Installation::new(&bank).await;
    let test = json!({ "length": 20, "blueprint": [
        { "skill": "biology/cells", "level": "remember", "share": 2 },
        { "skill": "biology/genes", "level": "remember", "share": 1 },
        { "level": "apply", "share": 1 },
    ]});
    let request = json!({ "mode": "test", "test": test });
    let mut sitting = Sitting::begin(&installation.learner().await, request).await;
    let mut counts: HashMap<(String, Option<Level>), usize> = HashMap::new();
    while let Some(asked) = sitting.asked() {
        let question = bank.iter().find(|q| q.id.as_str() == asked).unwrap();
        *counts.entry((question.skill.to_string(), question.level)).or_default() += 1;
        sitting.answer(&bank, true).await;
    }
    let recalled = counts[&("biology/cells".to_owned(), Some(Level::Remember))];
    assert_eq!((counts.values().sum::<usize>(), recalled), (20, 10), "{counts:?}");
    assert_eq!(sitting.session["measurement"]["end"], "length");
}

#[tokio::test]
async fn a_test_ends_once_the_ability_is_known_or_the_mark_is_decided() {
    let bank = bank();
    let installation = Installation::new(&bank).await;
    for (test, end, verdict) in [
        (json!({ "standard_error": 0.75 }), "precision", Value::Null),
        (json!({ "cut": 0.55 }), "decision", json!("pass")),
    ] {
        let request = json!({ "mode": "test", "test": test });
        let mut sitting = Sitting::begin(&installation.learner().await, request).await;
        let begun = sitting.session["measurement"].clone();
        assert_eq!((number(&begun["ability"]).abs() < 1e-9, &begun["answers"]), (true, &json!(0)));
        while sitting.asked().is_some() {
            sitting.answer(&bank, true).await;
        }
        let found = &sitting.session["measurement"];
        assert_eq!((&found["end"], &found["verdict"]), (&json!(end), &verdict), "{found}");
        assert!(found["answers"].as_u64().unwrap() < 30, "{found}");
        assert!(number(&found["ability"]) > 0.0 && number(&found["low"]) < number(&found["high"]));
        assert!(number(&found["standard_error"]) < number(&begun["standard_error"]));
    }
}

#[tokio::test]
async fn a_failed_test_says_so() {
    let bank = bank();
    let installation = Installation::new(&bank).await;
    let request = json!({ "mode": "test", "test": { "cut": 0.9 } });
    let learner = installation.learner().await;
    let mut sitting = Sitting::begin(&learner, request).await;
    while sitting.asked().is_some() {
        sitting.answer(&bank, false).await;
    }
    let found = sitting.session["measurement"].clone();
    assert_eq!((&found["verdict"], &found["end"]), (&json!("fail"), &json!("decision")));

    let author = installation.author().await;
    for question in &bank {
        author.delete(&format!("/v1/questions/{}", question.id)).await;
    }
    let path = format!("/v1/sessions/{}", sitting.session["id"].as_str().unwrap());
    let later = learner.get(&path).await.expect(200);
    assert_eq!(later["measurement"], found, "a result stays, whatever becomes of the bank");
}

#[tokio::test]
async fn no_question_is_shown_in_more_tests_than_the_cap_allows() {
    let bank = bank();
    let installation = Installation::new(&bank).await;
    let (tests, length) = (20, 5);
    let mut shown: HashMap<String, usize> = HashMap::new();
    for _ in 0..tests {
        let request = json!({ "mode": "test", "test": { "length": length, "exposure": 0.2 } });
        let mut sitting = Sitting::begin(&installation.learner().await, request).await;
        while let Some(asked) = sitting.asked() {
            *shown.entry(asked.to_owned()).or_default() += 1;
            sitting.answer(&bank, true).await;
        }
    }
    assert_eq!(shown.values().sum::<usize>(), tests * length);
    assert!(shown.values().all(|&count| count <= tests / 5), "{shown:?}");
}

#[tokio::test]
async fn a_test_that_cannot_be_held_is_refused_field_by_field() {
    let installation = Installation::new(&bank()).await;
    let learner = installation.learner().await;
    for (test, field) in [
        (json!({ "length": 0 }), "test.length"),
        (json!({ "length": 31 }), "test.length"),
        (json!({ "standard_error": 0 }), "test.standard_error"),
        (json!({ "cut": 1 }), "test.cut"),
        (json!({ "exposure": 1.5 }), "test.exposure"),
        (json!({ "blueprint": [{ "share": 0 }] }), "test.blueprint[0].share"),
        (json!({ "blueprint": [{ "share": 1, "skill": "a/b" }] }), "test.blueprint[0].skill"),
        (json!({ "lenght": 3 }), "test.lenght"),
    ] {
        let request = json!({ "mode": "test", "test": test });
        let problem = learner.post("/v1/sessions", &request).await.problem(422);
        assert!(problem["errors"].to_string().contains(field), "{field} {problem}");
    }
    let request = json!({ "test": {} });
    let problem = learner.post("/v1/sessions", &request).await.problem(422);
    assert_eq!(problem["errors"][0]["field"], "test");
    let unlimited = json!({ "mode": "test", "test": { "exposure": null } });
    learner.post("/v1/sessions", &unlimited).await.expect(201);
}

#[tokio::test]
async fn pilots_are_shown_but_not_scored() {
    let mut bank = statements(30);
    for question in &mut bank[20..] {
        question.status = Status::Pilot;
    }
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let subjects = installation.anyone().get("/v1/subjects").await.expect(200);
    assert_eq!(subjects["subjects"][0]["questions"], 20);
    let mut sitting = Sitting::begin(&learner, json!({})).await;
    let (mut pilots, mut scored) = (0, 0);
    for _ in 0..100 {
        let next = &sitting.session["next"];
        let is_pilot = next["scored"] == false;
        if is_pilot {
            assert_eq!(next["why"]["reason"], "pilot");
            pilots += 1;
        } else {
            scored += 1;
        }
        let reply = sitting.answer(&bank, true).await;
        assert_eq!(reply["answer"]["scored"], !is_pilot, "{reply}");
        assert_eq!(reply["session"]["answered"], scored);
        assert_eq!(reply["progress"].is_null(), is_pilot);
        installation.clock.advance(SignedDuration::from_mins(1));
    }
    assert!((1..=10).contains(&pilots), "{pilots}: each at most once");
    let mastery = learner.get("/v1/me/mastery").await.expect(200);
    assert_eq!(mastery["overall"]["answers"], scored);
    assert_eq!(mastery["overall"]["items"].as_u64(), Some(20));
}

#[tokio::test]
async fn the_flow_of_a_session_moves_its_target_and_says_so() {
    let bank = bank();
    let installation = Installation::new(&bank).await;
    let mut sitting = Sitting::begin(&installation.learner().await, json!({})).await;
    let begun = sitting.session["flow"].clone();
    assert_eq!((&begun["state"], &begun["target"]), (&json!("flow"), &json!([0.7, 0.85])));
    for _ in 0..8 {
        sitting.answer(&bank, false).await;
    }
    let flow = &sitting.session["flow"];
    assert_eq!(flow["state"], "anxiety", "{flow}");
    assert!(flow["sentence"].as_str().unwrap().contains("easier"));
    let low = number(&flow["target"][0]);
    assert!(low > 0.72 && low <= 0.8 + 1e-9, "{flow}");
    assert_eq!(sitting.session["next"]["why"]["target"], flow["target"]);
    let test = Sitting::begin(&installation.learner().await, json!({ "mode": "test" })).await;
    assert!(test.session["flow"].is_null());
}

#[tokio::test]
async fn prerequisites_come_first_and_cycles_are_refused_with_their_names() {
    let bank = bank();
    let installation = Installation::new(&bank).await;
    let (author, learner) = (installation.author().await, installation.learner().await);
    let path = "/v1/skills/prerequisites";
    let none = learner.get(path).await.expect(200);
    assert_eq!(none, json!({ "version": 0, "prerequisites": {} }));
    let cycle = json!({ "version": 0, "prerequisites": {
        "biology/genes": ["biology/cells"], "biology/cells": ["biology/genes"],
    }});
    let problem = author.put(path, &cycle).await.problem(422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("biology/cells needs biology/genes needs biology/cells"), "{detail}");
    let unknown = json!({ "version": 0, "prerequisites": { "biology/genes": ["biology/x"] } });
    let problem = author.put(path, &unknown).await.problem(422);
    assert_eq!(problem["errors"][0]["field"], "prerequisites[biology/genes]");
    let sound = json!({ "version": 0, "prerequisites": { "biology/genes": ["biology/cells"] } });
    let stored = author.put(path, &sound).await.expect(200);
    assert_eq!(stored["version"], 1);
    author.put(path, &sound).await.problem(409);
    assert_eq!(learner.get(path).await.expect(200), stored);

    // Half of the statements are guessed right, which is no mastery.
    let mut sitting = Sitting::begin(&learner, json!({})).await;
    for _ in 0..6 {
        assert_eq!(sitting.session["next"]["why"]["skill"], "biology/cells");
        sitting.answer(&bank, false).await;
    }
    let model = learner.get("/v1/me/model").await.expect(200);
    let genes = model["mastery"]["skills"].as_array().unwrap().iter();
    let genes = genes.clone().find(|skill| skill["skill"] == "biology/genes").unwrap();
    assert_eq!(genes["waits_for"], json!(["biology/cells"]));
    let way = learner.get("/v1/me/path?goal=biology/genes").await.expect(200);
    let steps: Vec<_> =
        way["steps"].as_array().unwrap().iter().map(|step| step["skill"].clone()).collect();
    assert_eq!(steps, ["biology/cells", "biology/genes"]);
    assert!(number(&way["minutes"]) > 1.0, "{way}");
    learner.get("/v1/me/path?goal=biology/x").await.problem(422);
}

#[tokio::test]
async fn the_learner_model_tells_what_would_change_it() {
    let bank = bank();
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let mut sitting = Sitting::begin(&learner, json!({ "skills": ["biology/cells"] })).await;
    for _ in 0..5 {
        sitting.answer(&bank, true).await;
    }
    let model = learner.get("/v1/me/model").await.expect(200);
    assert_eq!(model["answers"], 5);
    assert!(number(&model["ability"]) > 0.0 && number(&model["uncertainty"]) > 0.0);
    let cells = &model["mastery"]["skills"][0];
    let now = number(&cells["estimate"]["probability"]);
    assert!(
        number(&cells["change"]["if_wrong"]) < now && now < number(&cells["change"]["if_right"])
    );
    let later = &cells["change"]["in_30_days"];
    assert!(number(&later[0]) < number(&cells["estimate"]["low"]), "{cells}");
    installation.clock.advance(SignedDuration::from_hours(24 * 30));
    let old = learner.get("/v1/me/model").await.expect(200);
    assert!(number(&old["uncertainty"]) > number(&model["uncertainty"]));
    let low = number(&old["mastery"]["skills"][0]["estimate"]["low"]);
    assert!((low - number(&later[0])).abs() < 1e-6, "it came as it was told");
}

#[tokio::test]
async fn a_plan_spends_todays_minutes_where_they_help_most() {
    let bank = bank();
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let plan = async |rest: &str| learner.get(&format!("/v1/me/plan?{rest}")).await;
    // The clock of the installation stands in January 2027.
    let far = plan("exam=2027-03-01T08:00:00Z&minutes=20").await.expect(200);
    assert!(far["reachable"] == true && far["days"].as_u64().unwrap() > 40, "{far}");
    let spent: f64 =
        far["today"].as_array().unwrap().iter().map(|task| number(&task["minutes"])).sum();
    assert!(spent > 0.0 && spent <= 20.0, "{far}");
    let tomorrow = plan("exam=2027-01-16T08:00:00Z&minutes=2&target=0.95").await.expect(200);
    assert_eq!(tomorrow["reachable"], false, "{tomorrow}");
    let physics = plan("exam=2027-03-01T08:00:00Z&subject=physics").await.problem(422);
    assert_eq!(physics["errors"][0]["field"], "subject");
    for (rest, field) in [
        ("exam=2020-01-01T00:00:00Z", "exam"),
        ("exam=2027-03-01T08:00:00Z&target=2", "target"),
        ("exam=2027-03-01T08:00:00Z&minutes=0", "minutes"),
    ] {
        assert_eq!(plan(rest).await.problem(422)["errors"][0]["field"], field);
    }
    plan("exam=soon").await.problem(400);
}
