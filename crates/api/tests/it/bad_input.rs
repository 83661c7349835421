//! Values that cannot be taken: each gets 422 and the path of the field.

use axum::http::Method;
use quizmentor_core::limits;
use quizmentor_testkit::{
    Client, Installation,
    questions::{every_kind, statements},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{bad_requests::says, sitting::Sitting};

/// Requests that were not refused as they should.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    /// Expects `text` to be refused for a reason in a field.
    async fn unless_refused(
        &mut self,
        client: &Client,
        (method, path): (Method, &str),
        text: String,
        (field, reason): (&str, &str),
    ) {
        let reply = client.send_body(method, path, "application/json", text).await;
        let problem: Value = serde_json::from_slice(&reply.body).unwrap();
        let fits = |error: &Value| {
            error["field"] == field && error["problem"].as_str().unwrap().contains(reason)
        };
        if reply.status != 422 || !problem["errors"].as_array().unwrap().iter().any(fits) {
            self.0.push(format!("no “{reason}” on {field} in {} {problem}", reply.status));
        } else {
            reply.problem(422);
        }
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || self.0.is_empty(), "{:#?}", self.0);
    }
}

#[tokio::test]
async fn sessions() {
    let mut wrong = Wrong::default();
    let installation = Installation::new(&statements(2)).await;
    let learner = installation.learner().await;
    let begin = (Method::POST, "/v1/sessions");
    let many = json!({ "skills": vec!["biology/cells"; 101] }).to_string();
    for (body, field, reason) in [
        (r#"{"mode": "exam"}"#, "mode", "unknown variant `exam`"),
        (r#"{"mode": 1}"#, "mode", "expected"),
        (r#"{"mode": null}"#, "mode", "expected"),
        (r#"{"subject": 5}"#, "subject", "expected a string"),
        (r#"{"subject": "alchemy"}"#, "subject", "no subject alchemy"),
        (r#"{"subject": "bio\u0000logy"}"#, "subject", "no subject"),
        (r#"{"skills": "biology/cells"}"#, "skills", "expected a sequence"),
        (r#"{"skills": [1]}"#, "skills[0]", "expected a string"),
        (r#"{"skills": ["biology/cells", "Cells"]}"#, "skills[1]", "no identifier"),
        (r#"{"skills": ["biology/genes"]}"#, "skills[0]", "no skill biology/genes"),
        (r#"{"subject": "biology", "skills": ["a/b"]}"#, "skills[0]", "another subject"),
        (&many, "skills", "at most 100"),
        (r#"{"target": 0.49}"#, "target", "0.5 to 0.95"),
        (r#"{"target": 1e999}"#, "target", "number out of range"),
        (r#"{"target": 1e300}"#, "target", "0.5 to 0.95"),
        (r#"{"target": "0.7"}"#, "target", "expected f64"),
        (r#"{"mode": "test", "mode": "test"}"#, "$", "duplicate field `mode`"),
    ] {
        wrong.unless_refused(&learner, begin.clone(), body.to_owned(), (field, reason)).await;
    }
    for number in ["NaN", "-Infinity", "0x10", ".5", "+1", "01"] {
        let body = format!(r#"{{"target": {number}}}"#);
        let reply = learner.send_body(Method::POST, "/v1/sessions", "application/json", body).await;
        says(&reply.problem(400), &["line 1 column"]);
    }
    assert_eq!(learner.get("/v1/sessions").await.expect(200)["sessions"], json!([]));
    Sitting::begin(&learner, json!({ "target": 0.95, "subject": null, "skills": [] })).await;
}

#[tokio::test]
async fn answers() {
    let mut wrong = Wrong::default();
    let bank = every_kind();
    for question in &bank {
        let installation = Installation::new(std::slice::from_ref(question)).await;
        let learner = installation.learner().await;
        let mut sitting = Sitting::begin(&learner, json!({})).await;
        let path = sitting.path("/answers");
        let valid = sitting.submission(&bank, true);
        let long = "x".repeat(limits::RESPONSE + 1);
        let responses = match question.id.as_str() {
            "single" => vec![
                (json!({ "option": 4 }), "not shown with that position"),
                (json!({ "option": 255 }), "not shown with that position"),
                (json!({ "options": [0] }), "expects one option"),
            ],
            "multiple" => vec![
                (json!({ "options": [0, 4] }), "not shown with that position"),
                (json!({ "options": [1, 1] }), "chosen twice"),
                (json!({ "option": 1 }), "expects options"),
            ],
            "truth" => vec![(json!({ "text": "true" }), "expects a judgement")],
            "short" => vec![
                (json!({ "text": long }), "at most 4000"),
                (json!({ "number": 1 }), "expects a text"),
            ],
            "number" => vec![(json!({ "text": "23" }), "expects a number")],
            _ => vec![
                (json!({ "answers": [0, 1] }), "2 answers for 3 prompts"),
                (json!({ "answers": [0, 1, 9] }), "not shown with that position"),
                (json!({ "truth": true }), "expects an answer for each prompt"),
            ],
        };
        for (response, reason) in responses {
            let mut body = valid.clone();
            body["response"] = response;
            let case = ("response", reason);
            wrong.unless_refused(&learner, (Method::POST, &path), body.to_string(), case).await;
        }
        assert_eq!(learner.get(&sitting.path("")).await.expect(200)["answered"], 0);
        let reply = sitting.answer(&bank, true).await;
        assert_eq!(reply["answer"]["correct"], true);
    }
}

#[tokio::test]
async fn malformed_answers() {
    let mut wrong = Wrong::default();
    let bank = statements(2);
    let installation = Installation::new(&bank).await;
    let learner = installation.learner().await;
    let sitting = Sitting::begin(&learner, json!({})).await;
    let path = sitting.path("/answers");
    let mut valid = sitting.submission(&bank, true);
    valid["id"] = json!(Uuid::from_u128(1));
    let cases = [
        ("id", json!("not-a-uuid"), "UUID"),
        ("id", json!(7), "expected"),
        ("id", Value::Null, "expected"),
        ("question", json!("A B"), "no identifier"),
        ("question", json!("x".repeat(65)), "at most 64"),
        ("question", json!(""), "no identifier"),
        ("elapsed_ms", json!(-1), "expected u64"),
        ("elapsed_ms", json!(1.5), "expected u64"),
        ("elapsed_ms", json!(1e300), "expected u64"),
        ("response", Value::Null, ""),
        ("response", json!({}), ""),
        ("response", json!(true), ""),
        ("response", json!({ "option": 256 }), ""),
        ("response", json!({ "option": -1 }), ""),
        ("response", json!({ "options": [1e9] }), ""),
        ("response", json!({ "truth": true, "option": 0 }), ""),
        ("response", json!({ "truth": "yes" }), ""),
    ];
    for (field, value, reason) in cases {
        let mut body = valid.clone();
        body[field] = value;
        let case = (field, reason);
        wrong.unless_refused(&learner, (Method::POST, &path), body.to_string(), case).await;
    }
    for field in ["id", "question", "response"] {
        let mut body = valid.clone();
        body.as_object_mut().unwrap().remove(field);
        let problem = learner.post(&path, &body).await.problem(422);
        says(&problem, &[&format!("missing field `{field}`")]);
    }
    for (from, to, status) in [
        ("4000", "18446744073709551616", 422),
        ("4000", "1e999", 422),
        ("4000", "NaN", 400),
        ("{\"truth\":true}", "{\"truth\":true,\"truth\":false}", 422),
        ("{\"truth\":true}", "{\"number\":1e999}", 422),
        ("{\"truth\":true}", "{\"number\":-Infinity}", 400),
    ] {
        let text = valid.to_string().replace(from, to);
        assert_ne!(text, valid.to_string());
        learner.send_body(Method::POST, &path, "application/json", text).await.problem(status);
    }
    let session = learner.get(&sitting.path("")).await.expect(200);
    assert_eq!(session, sitting.session);
    let mut slow = valid;
    slow["elapsed_ms"] = json!(u64::MAX);
    learner.post(&path, &slow).await.expect(200);
}

#[tokio::test]
async fn odd_but_valid_answers_are_scored() {
    let bank = every_kind();
    for (id, response) in [
        ("short", json!({ "text": "" })),
        ("short", json!({ "text": "\u{0}\u{202e}👩🏽‍🔬" })),
        ("short", json!({ "text": "x".repeat(limits::RESPONSE) })),
        ("number", json!({ "number": 1e308 })),
        ("number", json!({ "number": -0.0 })),
        ("number", json!({ "number": u64::MAX })),
        ("multiple", json!({ "options": [] })),
        ("match", json!({ "answers": [0, 0, 0] })),
    ] {
        let one = bank.iter().find(|question| question.id.as_str() == id).unwrap();
        let installation = Installation::new(std::slice::from_ref(one)).await;
        let learner = installation.learner().await;
        let sitting = Sitting::begin(&learner, json!({})).await;
        let body = json!({ "id": Uuid::new_v4(), "question": id, "response": response });
        let reply = learner.post(&sitting.path("/answers"), &body).await.expect(200);
        assert_eq!(reply["answer"]["correct"], false, "{reply}");
        let again = learner.post(&sitting.path("/answers"), &body).await.expect(200);
        assert_eq!(again["answer"]["repeated"], true);
    }
}

#[tokio::test]
async fn texts_to_classify() {
    let mut wrong = Wrong::default();
    let installation = Installation::new(&[]).await;
    let learner = installation.learner().await;
    let long = json!({ "texts": ["Name a cell.", "x".repeat(limits::CLASSIFY_TEXT + 1)] });
    for (body, field, reason) in [
        (json!({ "texts": [] }), "texts", "1 to 64"),
        (json!({ "texts": vec!["x"; 65] }), "texts", "1 to 64"),
        (long, "texts[1]", "at most 10000"),
        (json!({ "texts": "x" }), "texts", "expected a sequence"),
        (json!({ "texts": ["x", 5] }), "texts[1]", "expected a string"),
        (json!({ "texts": [null] }), "texts[0]", "expected a string"),
    ] {
        let route = (Method::POST, "/v1/bloom/classify");
        wrong.unless_refused(&learner, route, body.to_string(), (field, reason)).await;
    }
    let odd = ["", " ", "\u{0}", "\u{202e}", "👩🏽‍🔬👩🏽‍🔬", "ﷺ", "x", "\n\n\n", "¿?¿?", "12 34"];
    let odd = json!({ "texts": odd });
    let reply = learner.post("/v1/bloom/classify", &odd).await.expect(200);
    assert_eq!(reply["results"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn codes_and_invitations() {
    let mut wrong = Wrong::default();
    let installation = Installation::new(&[]).await;
    let admin = installation.admin().await;
    for (path, body, field, reason) in [
        ("/v1/auth/invitations", r#"{"role":"owner"}"#, "role", "unknown variant `owner`"),
        ("/v1/auth/invitations", r#"{"role":["admin"]}"#, "role", "expected"),
        ("/v1/auth/link", r#"{"code":5}"#, "code", "expected a string"),
    ] {
        let route = (Method::POST, path);
        wrong.unless_refused(&admin, route, body.into(), (field, reason)).await;
    }
    for code in ["", "\u{0}", "žluťoučký", &"x".repeat(200_000)] {
        admin.post("/v1/auth/link", &json!({ "code": code })).await.problem(401);
    }
}

/// Changes a place in a document, which a JSON pointer names.
fn with(document: &Value, pointer: &str, value: Value) -> String {
    let mut document = document.clone();
    *document.pointer_mut(pointer).unwrap() = value;
    document.to_string()
}

#[tokio::test]
async fn questions() {
    let mut wrong = Wrong::default();
    let kinds = every_kind();
    let installation = Installation::new(&kinds).await;
    let author = installation.author().await;
    let x = |count: usize| json!("x".repeat(count));
    let option = json!({ "text": "Golgi", "credit": 0.0, "feedback": "" });
    let cases = [
        (0, "/id", json!("other"), "id", "the path says single"),
        (0, "/id", json!("A B"), "id", "no identifier"),
        (0, "/skill", json!("cells"), "skill", "no identifier"),
        (0, "/skill", json!(format!("biology/{}", "x".repeat(122))), "skill", "at most 129"),
        (0, "/subject_name", json!(" "), "subject_name", "must not be empty"),
        (0, "/skill_name", x(limits::TITLE + 1), "skill_name", "at most 200"),
        (0, "/title", x(limits::TITLE + 1), "title", "at most 200"),
        (0, "/title", json!(5), "title", "expected a string"),
        (0, "/stem", json!(""), "stem", "must not be empty"),
        (0, "/stem", x(limits::STEM + 1), "stem", "at most 8000"),
        (0, "/stem", json!("a\u{0}b"), "stem", "NUL"),
        (0, "/explanation", x(limits::FEEDBACK + 1), "explanation", "at most 4000"),
        (0, "/explanation", Value::Null, "explanation", "expected a string"),
        (0, "/format", json!("latex"), "format", "unknown variant `latex`"),
        (0, "/level", json!("hard"), "level", "unknown variant `hard`"),
        (0, "/difficulty", json!(0), "difficulty", "1 (easy) to 5 (hard)"),
        (0, "/difficulty", json!(256), "difficulty", "expected u8"),
        (0, "/difficulty", json!(-1), "difficulty", "expected u8"),
        (0, "/difficulty", json!(2.5), "difficulty", "expected u8"),
        (0, "/tags", json!(vec!["t"; limits::TAGS + 1]), "tags", "at most 32"),
        (0, "/tags", json!(["a", x(limits::TAG + 1)]), "tags[1]", "at most 100"),
        (0, "/tags", json!(["a", "b\u{0}"]), "tags[1]", "NUL"),
        (0, "/status", json!("gone"), "status", "unknown variant `gone`"),
        (0, "/body", json!({}), "body", "missing field `kind`"),
        (0, "/body/kind", json!("riddle"), "body.kind", "unknown variant `riddle`"),
        (0, "/body/options", json!([]), "body.options", "2 to 26"),
        (0, "/body/options", json!(vec![option; 27]), "body.options", "2 to 26"),
        (0, "/body/options/0/credit", json!(1), "body.options", "2 keys"),
        (0, "/body/options/0/credit", json!(-1.5), "body.options[0].credit", "-1 to 1"),
        (0, "/body/options/2/text", json!("\t"), "body.options[2].text", "must not be empty"),
        (0, "/body/options/2/text", x(limits::OPTION + 1), "body.options[2].text", "at most 2000"),
        (0, "/body/options/3/feedback", json!("\u{0}"), "body.options[3].feedback", "NUL"),
        (1, "/body/options/0/credit", json!(0.9), "body.options", "add up to 1.4"),
        (2, "/body/key", json!("yes"), "body", "expected a boolean"),
        (2, "/body/feedback_right", x(4_001), "body.feedback_right", "at most 4000"),
        (3, "/body/accepted", json!([]), "body.accepted", "1 to 26"),
        (3, "/body/accepted/0/credit", json!(0.5), "body.accepted", "full credit"),
        (3, "/body/accepted/1/credit", json!(-0.5), "body.accepted[1].credit", "0 to 1"),
        (4, "/body/accepted/0/min", json!(24), "body.accepted[0]", "min ≤ max"),
        (4, "/body/accepted/0/max", json!("23"), "body", "expected f64"),
        (5, "/body/pairs/0/answer", json!(""), "body.pairs[0].answer", "must not be empty"),
        (5, "/body/pairs", json!([{ "prompt": "a", "answer": "b" }]), "body.pairs", "2 to 26"),
    ];
    for (kind, pointer, value, field, reason) in cases {
        let path = format!("/v1/questions/{}", kinds[kind].id);
        let text = with(&json!(kinds[kind]), pointer, value);
        wrong.unless_refused(&author, (Method::PUT, &path), text, (field, reason)).await;
    }
    for (kind, from, to, status) in
        [(4, "23.0", "1e999", 422), (4, "23.0", "NaN", 400), (0, "0.0", "-Infinity", 400)]
    {
        let path = format!("/v1/questions/{}", kinds[kind].id);
        let text = json!(kinds[kind]).to_string().replace(from, to);
        let reply = author.send_body(Method::PUT, &path, "application/json", text).await;
        says(&reply.problem(status), &["line 1 column"]);
    }
    let listed = author.get("/v1/questions").await.expect(200);
    assert_eq!(listed["questions"].as_array().unwrap().len(), kinds.len());
    for question in &kinds {
        let path = format!("/v1/questions/{}", question.id);
        assert_eq!(author.get(&path).await.expect(200), json!(question));
    }
}

#[tokio::test]
async fn unknown_fields_of_a_question() {
    let kinds = every_kind();
    let installation = Installation::new(&kinds).await;
    let author = installation.author().await;
    for (kind, pointer) in
        [(0, ""), (0, "/body/options/0"), (3, "/body/accepted/1"), (5, "/body/pairs/1")]
    {
        let mut document = json!(kinds[kind]);
        document.pointer_mut(pointer).unwrap()["surprise"] = json!(1);
        let path = format!("/v1/questions/{}", kinds[kind].id);
        says(&author.put(&path, &document).await.problem(422), &["surprise"]);
    }
}
