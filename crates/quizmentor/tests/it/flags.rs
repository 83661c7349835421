//! Flags of a real Unleash server in a serving process.

use std::{fs, net::TcpListener, process::Command, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    learner::exchange,
    process::{Server, quizmentor, until},
};

/// Some of the server's starts take long, and the program asks it every 15 s.
const PATIENCE: Duration = Duration::from_mins(2);

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("${name} is not set: run tests as `tests/with-servers cargo nextest run`")
    })
}

/// What the server says to its administrator; nothing where it refuses.
fn administer(method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
    let data = body.map(|body| ["--data".to_owned(), body.to_string()]);
    let output = Command::new("curl")
        .args(["--silent", "--fail-with-body", "--max-time", "10", "--request", method])
        .args(["--header", &format!("authorization: {}", setting("UNLEASH_ADMIN_TOKEN"))])
        .args(["--header", "content-type: application/json"])
        .args(data.iter().flatten())
        .arg(format!("{}/api/admin/{path}", setting("UNLEASH_URL")))
        .output()
        .unwrap();
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// A new flag that every learner has; its name.
fn flag() -> String {
    let name = format!("flag-{}", Uuid::new_v4().simple());
    let feature = json!({ "name": name });
    until(PATIENCE, "a flag", || {
        administer("POST", "projects/default/features", Some(&feature)).is_some()
    });
    let environment = format!("projects/default/features/{name}/environments/development");
    let everyone = json!({
        "name": "flexibleRollout",
        "parameters": { "rollout": "100", "stickiness": "userId", "groupId": name },
    });
    administer("POST", &format!("{environment}/strategies"), Some(&everyone)).unwrap();
    administer("POST", &format!("{environment}/on"), Some(&json!({}))).unwrap();
    name
}

/// Whether a new learner's question is chosen by `policy`; one in ten is a pilot.
fn serves(server: &Server, policy: &str) -> bool {
    let (_, guest) = exchange(server.address, "POST", "/v1/auth/guest", "", None).unwrap();
    let token = guest["token"].as_str().unwrap();
    let body = Some(json!({ "mode": "practice" }));
    let (_, session) =
        exchange(server.address, "POST", "/v1/sessions", token, body.as_ref()).unwrap();
    session["next"]["why"]["policy"] == policy
}

/// Settings of an experiment in which `flag` of the server at `url` decides.
fn settings<'a>(url: &'a str, flag: &'a str, token_file: &'a str) -> [(&'a str, &'a str); 3] {
    [
        ("QUIZMENTOR__FLAGS__URL", url),
        ("QUIZMENTOR__FLAGS__TOKEN_FILE", token_file),
        ("QUIZMENTOR__EXPERIMENT__NAME", flag),
    ]
}

fn token(dir: &TempDir) -> String {
    let file = dir.path().join("token");
    fs::write(&file, format!("{}\n", setting("UNLEASH_CLIENT_TOKEN"))).unwrap();
    file.to_str().unwrap().to_owned()
}

/// What the process has logged, after a good end.
fn stopped(server: Server) -> String {
    server.signal("TERM");
    let (status, _, logs) = server.wait();
    assert!(status.success(), "{logs}");
    logs
}

#[test]
fn an_experiment_follows_the_flag_of_its_name() {
    let (dir, flag) = (tempfile::tempdir().unwrap(), flag());
    let (url, token) = (format!("{}/api", setting("UNLEASH_URL")), token(&dir));
    let server = Server::start(&settings(&url, &flag, &token));
    until(PATIENCE, "the treatment", || serves(&server, "practice-2"));
    for _ in 0..5 {
        assert!(!serves(&server, "practice-1"));
    }
    let off = format!("projects/default/features/{flag}/environments/development/off");
    administer("POST", &off, Some(&json!({}))).unwrap();
    until(PATIENCE, "the control", || serves(&server, "practice-1"));
    let logs = stopped(server);
    let secret = setting("UNLEASH_CLIENT_TOKEN");
    assert!(!logs.contains(&secret), "{logs}");
}

#[test]
fn without_the_server_everyone_gets_the_control() {
    let (dir, nobody) = (tempfile::tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("http://{}/api", nobody.local_addr().unwrap());
    drop(nobody);
    let token = token(&dir);
    let settings = settings(&url, "aim", &token);
    let server = Server::start(&settings);
    until(PATIENCE, "the control", || serves(&server, "practice-1"));
    assert!(!serves(&server, "practice-2"));
    let logs = stopped(server);
    assert!(logs.contains("flags may be out of date"), "{logs}");

    let data = dir.path().join("data");
    let mut doctor = quizmentor();
    doctor.arg("doctor").arg("--data-dir").arg(&data).envs(settings);
    let output = doctor.output().unwrap();
    let findings = String::from_utf8(output.stdout).unwrap();
    let finding = findings.lines().find(|line| line.contains("\"flags\"")).unwrap();
    assert!(finding.contains("\"warning\"") && finding.contains("refused"), "{finding}");
}

#[test]
fn a_server_of_flags_needs_a_token() {
    let mut command = quizmentor();
    let dir = tempfile::tempdir().unwrap();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir.path());
    command.env("QUIZMENTOR__FLAGS__URL", "http://127.0.0.1:4242/api");
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        error.contains("a server of flags needs a token: set token_file in [flags]"),
        "{error}"
    );
}
