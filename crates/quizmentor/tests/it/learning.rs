//! Of several processes one learns the model at a time.

use std::time::Duration;

use serde_json::Value;

use crate::{
    failures::Load,
    postgres::Postgres,
    process::{Server, quizmentor, until},
    redis::Redis,
};

/// Until a process learns on when the one that learned has died, and until there are answers enough
/// for a snapshot.
const PATIENCE: Duration = Duration::from_secs(90);

fn learns(server: &Server) -> bool {
    server.get("/metrics").contains("\nquizmentor_learning 1\n")
}

#[test]
fn one_process_learns_until_it_dies_and_then_the_other() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let servers = Server::start_two(&postgres, &redis, &[]);
    let holders = "SELECT count(DISTINCT holder) FROM leases WHERE name = 'learning'";
    let snapshots = || postgres.query("SELECT count(*) FROM snapshots").parse::<u32>().unwrap();
    until(PATIENCE, "one learns", || servers.iter().any(learns));
    let load = Load::start_on(&[&servers[0], &servers[1]]);
    until(PATIENCE, "a snapshot", || {
        let learning = servers.iter().filter(|server| learns(server)).count();
        assert!(learning < 2, "both learn");
        snapshots() > 0
    });
    assert_eq!(postgres.query(holders), "1");
    assert!(load.end(&servers[0]).is_empty());

    let [first, second] = servers;
    let (learner, other) = if learns(&first) { (first, second) } else { (second, first) };
    assert!(!learns(&other));
    drop(learner); // SIGKILL
    until(PATIENCE, "the other learns", || learns(&other));
    let (before, load) = (snapshots(), Load::start_on(&[&other]));
    until(PATIENCE, "another snapshot", || snapshots() > before);
    assert!(load.end(&other).is_empty());
    let versions = "SELECT max(version) = count(*) AND min(version) = 1 FROM snapshots";
    assert_eq!(postgres.query(versions), "t", "each version is there once");
    drop(other);

    let mut command = quizmentor();
    command.args(["eval", "states"]).env("QUIZMENTOR__RECORDS__URL", postgres.url());
    let report: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(report["different"], Value::Array(Vec::new()), "{report}");
    assert_eq!(report["learners"], 24, "{report}");
}
