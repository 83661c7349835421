//! The file: that it lasts, and what is said when it cannot be used.

use std::{fs, path::Path};

use quizmentor_core::Role;
use quizmentor_store::{
    Error,
    records::{
        CommitOutcome, LinkHash, QuestionFilter, Records, SnapshotInfo, Sqlite, StoredAnswer,
    },
};

use super::begun;
use crate::samples::{
    answer_id, at, commit, full_session, learner, questions_of_every_kind, session_id,
};

/// Stores something of everything and returns the answer.
async fn fill(records: &Sqlite) -> StoredAnswer {
    let session = begun(records, session_id(1), learner(1)).await;
    records.put_questions(&questions_of_every_kind()).await.unwrap();
    records.create_link(LinkHash([1; 32]), Role::Admin, learner(1), at(60)).await.unwrap();
    records.create_session(&full_session(session_id(2), learner(1))).await.unwrap();
    let info = SnapshotInfo { version: 1, upto_sequence: 0 };
    records.put_snapshot(info, b"snapshot").await.unwrap();
    let commit = commit(answer_id(1), &session);
    let outcome = records.commit_answer(&commit).await.unwrap();
    let CommitOutcome::Committed { sequence } = outcome else { panic!("{outcome:?}") };
    StoredAnswer { sequence, answer: commit.answer }
}

async fn assert_filled(records: &Sqlite, stored: &StoredAnswer) {
    let page = records.questions(&QuestionFilter::default(), None, 100).await.unwrap();
    assert_eq!(page.items[..7], questions_of_every_kind());
    assert_eq!(records.question_changes(0, 100).await.unwrap().len(), 8);
    let full = full_session(session_id(2), learner(1));
    assert_eq!(records.session(full.id).await.unwrap(), Some(full));
    assert_eq!(records.answer(stored.answer.id).await.unwrap().as_ref(), Some(stored));
    assert_eq!(records.learner_state(learner(1)).await.unwrap().unwrap().version, 1);
    assert_eq!(records.latest_snapshot().await.unwrap().unwrap().bytes, b"snapshot");
    assert_eq!(records.outbox_after(0, 10).await.unwrap().len(), 1);
    let session = records.session(session_id(1)).await.unwrap().unwrap();
    let repeated = records.commit_answer(&commit(answer_id(1), &session)).await.unwrap();
    assert_eq!(repeated, CommitOutcome::Duplicate(Box::new(stored.clone())));
    let link = records.redeem_link(LinkHash([1; 32]), at(1)).await.unwrap();
    assert_eq!(link, Some((learner(1), Role::Admin)));
}

#[tokio::test]
async fn a_closed_file_keeps_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("naïve name?mode=memory#%20.db");
    let records = Sqlite::open(&path).await.unwrap();
    let stored = fill(&records).await;
    records.close().await;
    assert!(matches!(records.ping().await, Err(Error::Unavailable { .. })));
    let files: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files, [path.as_path()], "the log was folded into the file");
    let records = Sqlite::open(&path).await.unwrap();
    assert_filled(&records, &stored).await;
    records.close().await;
    let records = Sqlite::open(&path).await.unwrap();
    assert_eq!(records.redeem_link(LinkHash([1; 32]), at(1)).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_acknowledged_is_on_disk_without_closing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("live.db");
    let records = Sqlite::open(&path).await.unwrap();
    let stored = fill(&records).await;
    // What a killed process leaves behind: the file and its log, not the shared memory.
    let copy = directory.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        fs::copy(name(&path), name(&copy)).unwrap();
    }
    assert_filled(&Sqlite::open(&copy).await.unwrap(), &stored).await;
}

#[tokio::test]
async fn two_handles_share_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shared.db");
    let first = Sqlite::open(&path).await.unwrap();
    let second = Sqlite::open(&path).await.unwrap();
    let mut session = begun(&first, session_id(1), learner(1)).await;
    for n in 0..20 {
        let next = commit(answer_id(n), &session);
        let (one, other) = if n % 2 == 0 { (&first, &second) } else { (&second, &first) };
        let outcome = one.commit_answer(&next).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
        assert_eq!(other.session(session.id).await.unwrap().as_ref(), Some(&next.session));
        session = next.session;
    }
}

/// The error of opening `path`, its causes included.
async fn refusal(path: &Path) -> (Error, String) {
    let error = Sqlite::open(path).await.expect_err("must not open");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    assert!(text.contains(&path.display().to_string()), "{text}");
    (error, text)
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let notes = "These are notes, not a database. ".repeat(100);
    fs::write(&path, &notes).unwrap();
    let (error, text) = refusal(&path).await;
    assert!(matches!(error, Error::Corrupt { .. }), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), notes);
}

#[tokio::test]
async fn a_damaged_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.db");
    let records = Sqlite::open(&path).await.unwrap();
    fill(&records).await;
    records.close().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let (error, text) = refusal(&path).await;
    assert!(matches!(error, Error::Corrupt { .. }), "{text}");
}

#[tokio::test]
async fn places_where_no_file_can_be_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let places = [
        directory.path().join("absent/quizmentor.db"),
        directory.path().to_owned(),
        file.join("quizmentor.db"),
        // A directory where nobody may create files, not even root.
        Path::new("/proc/quizmentor.db").to_owned(),
    ];
    for path in places {
        let (error, text) = refusal(&path).await;
        assert!(matches!(error, Error::Unavailable { .. }), "{text}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("newer.db");
    Sqlite::open(&path).await.unwrap().close().await;
    execute(
        &path,
        "INSERT INTO _sqlx_migrations
             (version, description, installed_on, success, checksum, execution_time)
         VALUES (9999, 'future', 0, 1, x'00', 0)",
    )
    .await;
    let (error, text) = refusal(&path).await;
    assert!(matches!(error, Error::Unavailable { .. }) && text.contains("9999"), "{text}");
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spoilt.db");
    let records = Sqlite::open(&path).await.unwrap();
    let stored = fill(&records).await;
    for spoil in [
        "UPDATE questions SET question = '{\"id\": 1}'",
        "UPDATE sessions SET session = ''",
        "UPDATE answers SET learner = x'00', snapshot = -1",
        "UPDATE outbox SET payload = '{'",
        "UPDATE links SET role = 'king'",
        "UPDATE learner_states SET version = -1",
    ] {
        execute(&path, &format!("PRAGMA foreign_keys = OFF; {spoil}")).await;
    }
    let corrupt = [
        records.question_changes(0, 1).await.err(),
        records.session(session_id(1)).await.err(),
        records.answer(stored.answer.id).await.err(),
        records.outbox_after(0, 1).await.err(),
        records.redeem_link(LinkHash([1; 32]), at(1)).await.err(),
        records.learner_state(learner(1)).await.err(),
    ];
    for error in corrupt {
        assert!(matches!(error, Some(Error::Corrupt { .. })), "{error:?}");
    }
}

/// Runs `sql` on the file by a connection of its own.
async fn execute(path: &Path, sql: &str) {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
