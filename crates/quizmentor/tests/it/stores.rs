//! Commands on the stores: an installation moves from SQLite to PostgreSQL and back.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use serde_json::Value;

use crate::{
    learner::Learner,
    postgres::Postgres,
    process::{Server, quizmentor},
};

/// Where an installation keeps its records.
struct Place<'a> {
    data_dir: &'a Path,
    url: Option<String>,
}

impl Place<'_> {
    /// Runs a command on it; the objects that it prints.
    fn run(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let mut command = quizmentor();
        command.args(arguments).arg("--data-dir").arg(self.data_dir);
        if let Some(url) = &self.url {
            command.env("QUIZMENTOR__RECORDS__URL", url);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let objects = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if output.status.success() {
            Ok(objects)
        } else {
            Err(format!("{text}{}", String::from_utf8(output.stderr).unwrap()))
        }
    }
}

#[test]
fn an_installation_moves_to_postgres_and_back_without_a_difference() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let sqlite = Place { data_dir: &first, url: None };
    let server = Server::start(&[("QUIZMENTOR__SERVER__DATA_DIR", first.to_str().unwrap())]);
    let mut learner = Learner::begin(server.address);
    for _ in 0..5 {
        learner.answer_at_last(server.address, &mut Vec::new());
    }
    let id = learner.id(server.address);
    drop(server);

    let postgres = Postgres::start();
    let moved = Place { data_dir: &first, url: Some(postgres.url()) };
    let back = Place { data_dir: &second, url: None };
    assert_eq!(moved.run(&["migrate"]).unwrap()[0]["migrated"], true);
    sqlite.run(&["backup", &at("one")]).unwrap();
    moved.run(&["restore", &at("one")]).unwrap();
    moved.run(&["backup", &at("two")]).unwrap();
    back.run(&["restore", &at("two")]).unwrap();
    back.run(&["backup", &at("three")]).unwrap();
    let read = |name: &str| fs::read_to_string(at(name)).unwrap();
    assert!(read("one").contains(&id));
    assert_eq!(read("one"), read("two"));
    assert_eq!(read("one"), read("three"));

    let refused = moved.run(&["restore", &at("one")]).unwrap_err();
    assert!(refused.contains("nothing was restored"), "{refused}");
    let refused = moved.run(&["backup", &at("one")]).unwrap_err();
    assert!(refused.contains("is there already"), "{refused}");
    let nowhere = Place { data_dir: &dir.path().join("nowhere"), url: None };
    let refused = nowhere.run(&["backup", &at("nothing")]).unwrap_err();
    assert!(refused.contains("nothing is installed"), "{refused}");
    fs::write(at("half"), &read("one")[..read("one").len() / 2]).unwrap();
    let third = dir.path().join("third");
    let empty = Place { data_dir: &third, url: None };
    let refused = empty.run(&["restore", &at("half")]).unwrap_err();
    assert!(refused.contains("line "), "{refused}");

    let server = Server::start(&[
        ("QUIZMENTOR__SERVER__DATA_DIR", first.to_str().unwrap()),
        ("QUIZMENTOR__RECORDS__URL", &postgres.url()),
    ]);
    learner.agree(server.address);
    learner.answer_at_last(server.address, &mut Vec::new());
    learner.agree(server.address);
    drop(server);
    let exported = moved.run(&["learner", "export", &id]).unwrap();
    assert_eq!(exported.iter().filter(|document| !document["answer"].is_null()).count(), 6);
    assert_eq!(moved.run(&["learner", "erase", &id]).unwrap()[0]["erased"], id.as_str());
    let refused = moved.run(&["learner", "export", &id]).unwrap_err();
    assert!(refused.contains("no such learner"), "{refused}");
    assert!(moved.run(&["jobs", "dead"]).unwrap().is_empty());
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let state = |findings: &[Value], check: &str| {
        let found = findings.iter().find(|finding| finding["check"] == check);
        found.map(|finding| finding["state"].as_str().unwrap().to_owned())
    };
    let new = Place { data_dir: dir.path(), url: None };
    let findings = new.run(&["doctor"]).unwrap();
    assert_eq!(state(&findings, "model").as_deref(), Some("ok"));
    for check in ["records", "tokens", "events"] {
        assert_eq!(state(&findings, check).as_deref(), Some("ok"), "{check}");
    }
    assert!(!dir.path().join("token-key").exists(), "a look makes nothing");

    fs::write(dir.path().join("token-key"), "short").unwrap();
    let settings = dir.path().join("settings.toml");
    fs::write(&settings, "[events]\nwebhook = \"https://example.org/told\"\n").unwrap();
    let report = new.run(&["doctor", "--config", settings.to_str().unwrap()]).unwrap_err();
    assert!(report.contains("has 5 bytes; at least 32 are needed"), "{report}");
    assert!(report.contains("a webhook needs a signing key"), "{report}");
    assert!(report.contains("serving would fail: 2 of"), "{report}");
    fs::write(dir.path().join("token-key"), [b'k'; 32]).unwrap();
    fs::set_permissions(dir.path().join("token-key"), Permissions::from_mode(0o644)).unwrap();
    let findings = new.run(&["doctor"]).unwrap();
    assert_eq!(state(&findings, "tokens").as_deref(), Some("warning"), "all may read it");
    fs::remove_file(dir.path().join("token-key")).unwrap();

    let postgres = Postgres::start();
    let place = Place { data_dir: dir.path(), url: Some(postgres.url()) };
    let findings = place.run(&["doctor"]).unwrap();
    assert_eq!(state(&findings, "migrations").as_deref(), Some("warning"));
    assert_eq!(state(&findings, "clock").as_deref(), Some("ok"));
    place.run(&["migrate"]).unwrap();
    let findings = place.run(&["doctor"]).unwrap();
    assert_eq!(state(&findings, "migrations").as_deref(), Some("ok"));
    assert_eq!(state(&findings, "partitions").as_deref(), Some("ok"));
    postgres.query("SELECT drop_answers(32503680000000000)");
    let findings = place.run(&["doctor"]).unwrap();
    assert_eq!(state(&findings, "partitions").as_deref(), Some("warning"));
    postgres.stop();
    let report = place.run(&["doctor"]).unwrap_err();
    assert!(report.contains("see that the server runs"), "{report}");
    assert!(report.contains("serving would fail: 1 of"), "{report}");
}
