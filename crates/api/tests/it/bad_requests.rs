//! Requests that cannot be understood: each gets its status and a problem that names the place,
//! and harms nothing.

use axum::{
    body::{Body, Bytes},
    http::{Method, Request, header},
};
use futures_util::stream;
use quizmentor_core::limits;
use quizmentor_testkit::{
    Client, Installation,
    questions::{question, statements},
};
use serde_json::{Value, json};

use crate::{roles::routes, sitting::Sitting};

const JSON: &str = "application/json";
const IMPORT: &str = "/v1/questions/import";

#[track_caller]
pub(crate) fn says(problem: &Value, parts: &[&str]) {
    let text = problem.to_string();
    for part in parts {
        assert!(text.contains(part), "“{part}” is not in {text}");
    }
}

/// Every route that takes a JSON body.
fn json_routes() -> [(Method, &'static str); 6] {
    [
        (Method::POST, "/v1/auth/link"),
        (Method::POST, "/v1/auth/invitations"),
        (Method::POST, "/v1/sessions"),
        (Method::POST, "/v1/sessions/00000000-0000-4000-8000-000000000000/answers"),
        (Method::POST, "/v1/bloom/classify"),
        (Method::PUT, "/v1/questions/cell-0"),
    ]
}

/// An installation under attack, and its admin, who may send anything.
struct Victim {
    installation: Installation,
    admin: Client,
}

impl Victim {
    async fn new() -> Self {
        let installation = Installation::new(&statements(3)).await;
        Self { admin: installation.admin().await, installation }
    }

    /// Whether learners can still practise, on an unchanged bank.
    async fn still_works(self) {
        let bank = statements(3);
        let mut sitting = Sitting::begin(&self.installation.learner().await, json!({})).await;
        for count in 1..=3 {
            sitting.answer(&bank, true).await;
            assert_eq!(sitting.session["answered"], count);
        }
        let listed = self.admin.get("/v1/questions").await.expect(200);
        assert_eq!(listed["questions"], json!(bank));
    }
}

#[tokio::test]
async fn broken_json_is_answered_with_its_place() {
    let victim = Victim::new().await;
    let deep = format!("{{\"x\":{}", "[".repeat(10_000));
    let cases: [(&[u8], &[&str]); 11] = [
        (b"", &["line 1 column 0", "EOF"]),
        (b"   \n ", &["line 2 column 1"]),
        (b"{", &["line 1 column 1"]),
        (b"{\n  \"x\" 1}", &["line 2 column 7"]),
        (b"{'x': 1}", &["line 1 column 2"]),
        (b"nul", &["line 1 column 3"]),
        (b"\xef\xbb\xbf{}", &["line 1 column 1"]),
        (b"{\"\xff\": 1}", &["UTF-8", "offset 2"]),
        (b"{\"x\": NaN}", &["line 1 column 7"]),
        (b"{\"x\ny\": 1}", &["line 1 column 3", "control character"]),
        (b"\x00\x01\x02", &["line 1 column 1"]),
    ];
    for (method, path) in json_routes() {
        for (body, parts) in cases {
            let reply = victim.admin.send_body(method.clone(), path, JSON, body.to_vec()).await;
            says(&reply.problem(400), parts);
        }
        let reply = victim.admin.send_body(method, path, JSON, deep.clone()).await;
        says(&reply.problem(400), &["line 1 column 10005", "EOF"]);
    }
    let trailing = victim.admin.send_body(Method::POST, "/v1/sessions", JSON, "{} {}").await;
    says(&trailing.problem(400), &["line 1 column 4", "trailing"]);
    victim.still_works().await;
}

#[tokio::test]
async fn deep_nesting_is_refused_wherever_any_value_may_stand() {
    let victim = Victim::new().await;
    let lists = ["[".repeat(10_000), "]".repeat(10_000)].concat();
    let objects = ["{\"option\":".repeat(10_000), "0".into(), "}".repeat(10_000)].concat();
    for nested in [lists, objects] {
        let id = "00000000-0000-4000-8000-000000000000";
        let answer = format!(r#"{{"id":"{id}","question":"cell-0","response":{nested}}}"#);
        let body = format!(r#"{{"id":"cell-0","body":{{"option":{nested}}}}}"#);
        for (method, path, text) in [
            (Method::POST, format!("/v1/sessions/{id}/answers"), &answer),
            (Method::PUT, "/v1/questions/cell-0".into(), &body),
            (Method::POST, "/v1/bloom/validate".into(), &body),
        ] {
            let reply = victim.admin.send_body(method, &path, JSON, text.clone()).await;
            says(&reply.problem(422), &["recursion limit", "line 1 column"]);
        }
    }
    victim.still_works().await;
}

#[tokio::test]
async fn documents_of_the_wrong_shape_are_answered_with_the_path() {
    let victim = Victim::new().await;
    for (method, path) in json_routes() {
        for (body, parts) in [
            ("null", &["$", "JSON object"][..]),
            (" 5 ", &["$", "JSON object"]),
            ("\"text\"", &["$", "JSON object"]),
            ("[]", &["$", "JSON object"]),
            (r#"["practice"]"#, &["$", "JSON object"]),
            (r#"{"surprise": 1}"#, &["surprise", "unknown field"]),
        ] {
            let reply = victim.admin.send_body(method.clone(), path, JSON, body).await;
            let problem = reply.problem(422);
            says(&problem, parts);
            assert!(problem["errors"][0]["field"].is_string(), "{problem}");
        }
        if path != "/v1/sessions" {
            let reply = victim.admin.send_body(method, path, JSON, "{}").await;
            says(&reply.problem(422), &["missing field"]);
        }
    }
    victim.still_works().await;
}

#[tokio::test]
async fn the_content_type_must_be_right() {
    let victim = Victim::new().await;
    let mut routes = json_routes().map(|(method, path)| (method, path, JSON)).to_vec();
    routes.push((Method::POST, IMPORT, "text/plain"));
    for (method, path, expected) in routes {
        for given in ["", "text/html", "application/jsonx", "multipart/form-data; boundary=x"] {
            let reply = victim.admin.send_body(method.clone(), path, given, "{}").await;
            says(&reply.problem(415), &[expected]);
        }
        let request = Request::builder().method(&method).uri(path).body(Body::from("{}")).unwrap();
        says(&victim.admin.send(request).await.problem(415), &[expected, "none"]);
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::CONTENT_TYPE, &b"text/\xe9"[..]);
        victim.admin.send(request.body(Body::from("{}")).unwrap()).await.problem(415);
    }
    for given in ["application/json; charset=utf-8", "APPLICATION/JSON", " application/json "] {
        victim.admin.send_body(Method::POST, "/v1/sessions", given, "{}").await.expect(201);
    }
    victim.still_works().await;
}

/// 10 MB of spaces, in pieces, without a stated length.
fn endless() -> Body {
    let piece = Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 64 * 1024]));
    Body::from_stream(stream::iter(
        std::iter::repeat_with(move || {
            piece.as_ref().map(Bytes::clone).map_err(|_| std::io::Error::other("no piece"))
        })
        .take(160),
    ))
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused() {
    let victim = Victim::new().await;
    let mut routes =
        json_routes().map(|(method, path)| (method, path, JSON, limits::BODY)).to_vec();
    routes.push((Method::POST, IMPORT, "text/plain", limits::IMPORT));
    for (method, path, kind, limit) in routes {
        for body in [vec![b' '; 10_000_000].into(), vec![b' '; limit + 1].into(), endless()] {
            let body: Body = body;
            let reply = victim.admin.send_body(method.clone(), path, kind, body).await;
            says(&reply.problem(413), &[&limit.to_string()]);
        }
        let reply = victim.admin.send_body(method.clone(), path, kind, vec![b' '; limit]).await;
        assert_ne!(reply.status, 413, "{path} refuses what is within its limit");
    }
    victim.still_works().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing() {
    let victim = Victim::new().await;
    let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("connection reset"))];
    let body = Body::from_stream(stream::iter(pieces));
    let reply = victim.admin.send_body(Method::POST, "/v1/sessions", JSON, body).await;
    says(&reply.problem(400), &["ended early"]);
    let sessions = victim.admin.get("/v1/sessions").await.expect(200);
    assert_eq!(sessions["sessions"], json!([]));
    victim.still_works().await;
}

#[tokio::test]
async fn imports_must_be_text() {
    let victim = Victim::new().await;
    for (body, offset) in [(&b"One\xff {T}"[..], "3"), (b"\xff\xfe", "0"), (b"\xc5", "0")] {
        let reply = victim.admin.send_body(Method::POST, IMPORT, "text/plain", body.to_vec()).await;
        says(&reply.problem(400), &["UTF-8", &format!("offset {offset}")]);
    }
    for body in ["\0", "{{{{", "}\0{", &"{".repeat(100_000), &"\n".repeat(100_000)] {
        let reply =
            victim.admin.send_body(Method::POST, IMPORT, "text/plain", body.to_owned()).await;
        assert_eq!(reply.expect(200)["created"], 0, "{}", reply.text());
    }
    victim.still_works().await;
}

#[tokio::test]
async fn wrong_methods_are_refused_with_those_allowed() {
    let victim = Victim::new().await;
    let known = routes();
    let paths: std::collections::BTreeSet<_> = known.iter().map(|(_, path)| path).collect();
    for path in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "BREW"] {
            let method: Method = method.parse().unwrap();
            if known.contains(&(method.clone(), path.clone())) {
                continue;
            }
            // Some paths also fit `/v1/questions/{id}`.
            if path.starts_with("/v1/questions/") && [Method::PUT, Method::DELETE].contains(&method)
            {
                continue;
            }
            let reply = victim.admin.send_body(method.clone(), path, JSON, "{}").await;
            says(&reply.problem(405), &[method.as_str(), path]);
            let allowed = reply.header("allow");
            let of_path = known.iter().find(|(_, other)| other == path).unwrap().0.as_str();
            assert!(allowed.split(',').any(|allowed| allowed == of_path), "{path}: {allowed}");
        }
    }
    victim.still_works().await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let victim = Victim::new().await;
    let long = format!("/v1/questions/{}", "x".repeat(60_000));
    for path in [
        "/nonsense",
        "/v1",
        "/v1/",
        "/V1/sessions",
        "/v1//sessions",
        "/v1/sessions/",
        "/v2/sessions",
        "/index.html",
        "/../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/v1/sessions/not-a-uuid",
        "/v1/sessions/00000000-0000-4000-8000-00000000000g",
        "/v1/sessions/%00",
        "/v1/sessions/%FF%FE/next",
        "/v1/sessions/00000000-0000-4000-8000-000000000000",
        "/v1/sessions/00000000-0000-4000-8000-000000000000/next",
        "/v1/sessions/1/2/3",
        "/v1/questions/unknown",
        "/v1/questions/UPPER",
        "/v1/questions/%FF",
        "/v1/questions/%00",
        "/v1/questions/%",
        "/v1/questions/%zz",
        "/v1/questions/a%2Fb",
        "/v1/questions/a%20b",
        "/v1/questions/%F0%9F%91%A9",
        "/v1/questions/cell-0%0d%0aSet-Cookie:%20x",
        "/v1/questions/unknown/similar",
        "/v1/questions/%FF/similar",
        &long,
    ] {
        let reply = victim.admin.get(path).await;
        reply.problem(404);
        assert!(reply.headers.get("set-cookie").is_none());
    }
    let body = json!(question("cell-0", "Cells?", quizmentor_core::Body::Essay));
    victim.admin.put("/v1/questions/%FF", &body).await.problem(404);
    victim.admin.delete("/v1/questions/A%20B").await.problem(404);
    victim.admin.post("/v1/sessions/x/end", &json!({})).await.problem(404);
    victim.admin.post("/v1/sessions/x/answers", &json!({})).await.problem(404);
    victim.still_works().await;
}

#[tokio::test]
async fn queries_that_do_not_parse_name_the_parameter() {
    let victim = Victim::new().await;
    let long = format!("/v1/questions/search?q={}", "x".repeat(limits::CLASSIFY_TEXT + 1));
    for (path, status, parts) in [
        ("/v1/questions?limit=0", 422, &["limit", "1 to 500"][..]),
        ("/v1/questions?limit=501", 422, &["limit", "1 to 500"]),
        ("/v1/questions?limit=-1", 400, &["limit"]),
        ("/v1/questions?limit=1.5", 400, &["limit"]),
        ("/v1/questions?limit=99999999999999999999", 400, &["limit"]),
        ("/v1/questions?limit=", 400, &["limit"]),
        ("/v1/questions?level=hard", 400, &["level", "hard"]),
        ("/v1/questions?status=Gone", 400, &["status", "Gone"]),
        ("/v1/questions?skill=biology", 400, &["skill", "biology"]),
        ("/v1/questions?after=A%20B", 400, &["after", "A B"]),
        ("/v1/questions?surprise=1", 400, &["surprise"]),
        ("/v1/questions?limit=1&limit=2", 400, &["limit", "duplicate"]),
        ("/v1/questions?text=%FF&limit=x", 400, &["limit"]),
        ("/v1/questions/search", 400, &["q", "missing"]),
        ("/v1/questions/search?q=", 422, &["q", "10000"]),
        ("/v1/questions/search?q=%20%20", 422, &["q", "10000"]),
        (&long, 422, &["q", "10000"]),
        ("/v1/questions/search?q=x&limit=0", 422, &["limit"]),
        ("/v1/questions/search?q=x&level=", 400, &["level"]),
        ("/v1/questions/export?topic=x", 400, &["topic"]),
        ("/v1/me/answers?limit=0", 422, &["limit", "1 to 200"]),
        ("/v1/me/answers?limit=201", 422, &["limit", "1 to 200"]),
        ("/v1/me/answers?after=-1", 400, &["after"]),
        ("/v1/me/answers?after=18446744073709551616", 400, &["after"]),
        ("/v1/sessions?after=x", 400, &["after"]),
        ("/v1/sessions?after=00000000-0000-4000-8000-000000000000", 404, &["session"]),
        ("/v1/sessions?limit=5", 400, &["limit"]),
    ] {
        says(&victim.admin.get(path).await.problem(status), parts);
    }
    for query in ["?subject=%FF", "?text=%00%FF", "?subject=%27%3B--", "?", "?&&&"] {
        victim.admin.get(&format!("/v1/questions{query}")).await.expect(200);
    }
    let import = format!("{IMPORT}?topic=x");
    let reply = victim.admin.send_body(Method::POST, &import, "text/plain", "A {T}").await;
    says(&reply.problem(400), &["topic"]);
    victim.still_works().await;
}
