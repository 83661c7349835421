//! Whatever JSON comes in, the server has no fault: no reply is a 5xx.

use axum::http::Method;
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use quizmentor_core::SignedDuration;
use quizmentor_testkit::{Client, Installation, questions::every_kind};
use serde_json::{Value, json};

use crate::sitting::Sitting;

const NAMES: [&str; 24] = [
    "id", "skill", "stem", "title", "body", "kind", "options", "option", "text", "credit", "key",
    "accepted", "min", "max", "pairs", "prompt", "answer", "answers", "tags", "truth", "number",
    "texts", "mode", "target",
];
const TEXTS: [&str; 14] = [
    "single_choice",
    "multiple_choice",
    "true_false",
    "short_answer",
    "numerical",
    "matching",
    "essay",
    "practice",
    "biology",
    "biology/cells",
    "single",
    "published",
    "admin",
    "*\\*",
];

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![select(&TEXTS[..]).prop_map(str::to_owned), any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-2..30_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-1.5..1.5_f64).prop_map(Value::from),
        text.clone().prop_map(Value::from),
        (0..5_000_usize).prop_map(|length| Value::from("x ".repeat(length))),
    ];
    let name = prop_oneof![select(&NAMES[..]).prop_map(str::to_owned), text];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(name.clone(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Every place in `document`.
fn places(document: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(i, item)| walk(item, &format!("{at}/{i}"), found));
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(name, item)| walk(item, &format!("{at}/{name}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(document, "", &mut found);
    found
}

/// Sound requests to every route that takes JSON.
fn templates(sitting: &Sitting) -> Vec<(Method, String, Value)> {
    let kinds = every_kind();
    let mut templates = vec![
        (Method::POST, "/v1/auth/guest".into(), json!({})),
        (Method::POST, "/v1/auth/renew".into(), json!({})),
        (Method::POST, "/v1/auth/link".into(), json!({ "code": "x" })),
        (Method::POST, "/v1/auth/invitations".into(), json!({ "role": "author" })),
        (
            Method::POST,
            "/v1/sessions".into(),
            json!({
                "mode": "test", "subject": "biology", "skills": ["biology/cells"], "target": 0.7,
            }),
        ),
        (Method::POST, sitting.path("/end"), json!({})),
        (Method::POST, "/v1/bloom/classify".into(), json!({ "texts": ["Name a cell."] })),
    ];
    for question in &kinds {
        let answer = json!({
            "id": uuid::Uuid::new_v4(),
            "question": question.id,
            "response": { "options": [0, 1] },
            "elapsed_ms": 4_000,
        });
        templates.push((Method::POST, sitting.path("/answers"), answer));
        let path = format!("/v1/questions/{}", question.id);
        templates.push((Method::PUT, path, json!(question)));
        templates.push((Method::POST, "/v1/bloom/validate".into(), json!(question)));
    }
    templates
}

fn check(runtime: &tokio::runtime::Runtime, client: &Client, request: &(Method, String, Value)) {
    let (method, path, body) = request;
    let body = body.to_string();
    let reply =
        runtime.block_on(client.send_body(method.clone(), path, "application/json", body.clone()));
    assert!(!reply.status.is_server_error(), "{method} {path} {body}: {}", reply.text());
    assert_ne!(reply.status, 429);
    if reply.status.is_client_error() {
        reply.problem(reply.status.as_u16());
    }
}

fn is_never_a_fault(cases: u32, change: impl Fn(&Value, Value, Index) -> Value) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (installation, admin, sitting) = runtime.block_on(async {
        let installation = Installation::new(&every_kind()).await;
        let admin = installation.admin().await;
        let sitting = Sitting::begin(&admin, json!({})).await;
        (installation, admin, sitting)
    });
    let templates = templates(&sitting);
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let input = (value(), any::<Index>());
    runner
        .run(&input, |(value, index)| {
            installation.clock.advance(SignedDuration::from_secs(1));
            for (method, path, template) in &templates {
                let body = change(template, value.clone(), index);
                check(&runtime, &admin, &(method.clone(), path.clone(), body));
            }
            Ok(())
        })
        .unwrap();
    for path in ["/v1/questions", "/v1/questions/export", "/v1/subjects", "/v1/me/mastery"] {
        assert!(runtime.block_on(admin.get(path)).status.is_success(), "{path}");
    }
}

#[test]
fn any_value_is_no_fault() {
    is_never_a_fault(16, |_, value, _| value);
}

#[test]
fn any_value_in_any_place_is_no_fault() {
    is_never_a_fault(64, |template, value, index| {
        let places = places(template);
        let mut body = template.clone();
        let place: &String = index.get(&places);
        *body.pointer_mut(place).unwrap() = value;
        body
    });
}
