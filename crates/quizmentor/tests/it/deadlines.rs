//! Work in the database that nobody waits for any more ends.

use std::{
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use crate::{learner::Learner, postgres::Postgres, process::Server};

/// Statements of the server's that wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'quizmentor' AND wait_event_type = 'Lock'";

/// Another client, which keeps everyone from the sessions.
struct Blocker(Child);

impl Blocker {
    fn start(postgres: &Postgres) -> Self {
        let sql = "BEGIN; LOCK TABLE sessions; SELECT pg_sleep(120)";
        let client = postgres.psql(sql).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let blocker = Self(client.unwrap());
        let held = "SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation
            WHERE relname = 'sessions' AND mode = 'AccessExclusiveLock' AND granted";
        until(|| postgres.query(held) == "1");
        blocker
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("it never is");
}

/// Ends all that waits, and tells how: the server noticed that its client had gone, before it
/// would have given up by itself.
fn ended_for_want_of_a_client(postgres: &Postgres) {
    until(|| postgres.query(WAITING) == "0");
    let log = postgres.log();
    assert!(log.contains("connection to client lost"), "{log}");
    assert!(!log.contains("lock timeout") && !log.contains("statement timeout"), "{log}");
}

#[test]
fn a_statement_ends_with_the_deadline_of_its_request() {
    let postgres = Postgres::start();
    let server = Server::start(&[
        ("QUIZMENTOR__RECORDS__URL", &postgres.url()),
        ("QUIZMENTOR__SERVER__REQUEST_TIMEOUT", "500ms"),
    ]);
    let learner = Learner::begin(server.address);
    let blocker = Blocker::start(&postgres);
    let (status, problem) = learner.ask(server.address, "GET", "/v1/sessions");
    assert_eq!((status, &problem["type"]), (504, &"urn:quizmentor:problem:timeout".into()));
    ended_for_want_of_a_client(&postgres);
    drop(blocker);
    until(|| learner.ask(server.address, "GET", "/v1/sessions").0 == 200);
}

#[test]
fn a_statement_ends_when_its_client_has_gone() {
    let postgres = Postgres::start();
    let server = Server::start(&[("QUIZMENTOR__RECORDS__URL", &postgres.url())]);
    let learner = Learner::begin(server.address);
    let _blocker = Blocker::start(&postgres);
    let mut client = server.connect();
    client.send(learner.request("/v1/sessions"));
    until(|| postgres.query(WAITING) == "1");
    drop(client);
    ended_for_want_of_a_client(&postgres);
}
