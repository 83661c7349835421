//! What is particular to PostgreSQL.

use std::{thread, time::Duration};

use quizmentor_core::Timestamp;
use quizmentor_store::{
    Error,
    records::{CommitOutcome, Postgres, PostgresOptions, Records},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::begun;
use crate::{
    samples::{answer_id, commit, erased, learner, session_id},
    servers::new_database,
};

async fn opened() -> (String, Postgres) {
    let url = new_database().await;
    let records = Postgres::open(&PostgresOptions::new(&url).unwrap()).await.unwrap();
    (url, records)
}

/// A new database's URL for its operator and for a role that has to show its password, and that role.
async fn guarded() -> ([String; 2], String) {
    let (url, _) = opened().await;
    let mut operator = PgConnection::connect(&url).await.unwrap();
    let role = format!("role_{}", Uuid::new_v4().simple());
    let create = format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'its password'");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut operator).await.unwrap();
    let (_, place) = url.split_once('@').unwrap();
    assert!(PgConnection::connect(&format!("postgres://{role}:wrong@{place}")).await.is_err());
    let guarded = format!("postgres://{role}:its%20password@{place}");
    ([url, guarded], role)
}

/// Keeps the only worker of the runtime busy: what yields to it often takes seconds.
fn busy() -> JoinHandle<()> {
    tokio::spawn(async {
        loop {
            thread::sleep(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_opens_in_a_busy_process() {
    let ([_, url], _) = guarded().await;
    let records = Postgres::open(&PostgresOptions::new(&url).unwrap()).await.unwrap();
    let busy = busy();
    let two_at_once =
        async move { tokio::try_join!(records.answers_after(0, 10), records.outbox_after(0, 10)) };
    let (answers, news) = tokio::spawn(two_at_once).await.unwrap().unwrap();
    assert!(answers.is_empty() && news.is_empty());
    busy.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_that_is_cut_in_a_busy_process_makes_room_for_another() {
    let ([operator, url], role) = guarded().await;
    let records =
        Postgres::open(&PostgresOptions::new(&url).unwrap().connections(1)).await.unwrap();
    records.answers_after(0, 10).await.unwrap();
    let mut other = PgConnection::connect(&operator).await.unwrap();
    let mut operator = PgConnection::connect(&operator).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE answers").execute(&mut *lock).await.unwrap();
    let busy = busy();
    let two_at_once =
        async move { tokio::try_join!(records.answers_after(0, 10), records.answers_after(0, 10)) };
    let two = tokio::spawn(two_at_once);
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE usename = $1 AND wait_event_type = 'Lock'";
    let mut cut = async || -> i64 {
        sqlx::query_scalar(cut).bind(&role).fetch_one(&mut operator).await.unwrap()
    };
    while cut().await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    lock.rollback().await.unwrap();
    two.await.unwrap().unwrap();
    busy.abort();
}

#[tokio::test]
async fn a_sequence_is_not_shown_before_smaller_ones_that_are_still_to_come() {
    let (url, records) = opened().await;
    let session = begun(&records, session_id(1), learner(1)).await;
    let mut slow = PgConnection::connect(&url).await.unwrap();
    let mut transaction = slow.begin().await.unwrap();
    let drawn: i64 = {
        sqlx::query("SELECT hold_sequences()").execute(&mut *transaction).await.unwrap();
        sqlx::query_scalar("SELECT nextval('outbox_sequence') - 1 + nextval('answers_sequence')")
            .fetch_one(&mut *transaction)
            .await
            .unwrap()
    };
    assert_eq!(drawn, 1);
    let later = commit(answer_id(1), &session);
    let outcome = records.commit_answer(&later).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { sequence: 2 });
    assert_eq!(records.answers_after(0, 10).await.unwrap(), []);
    assert_eq!(records.outbox_after(0, 10).await.unwrap(), []);
    let own = records.answers_of(learner(1), 0, 10).await.unwrap();
    assert_eq!(own.len(), 1, "who answered need not wait");
    transaction.rollback().await.unwrap();
    assert_eq!(records.answers_after(0, 10).await.unwrap(), own);
    assert_eq!(records.outbox_after(0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn answers_of_a_month_lie_in_its_partition() {
    let (url, records) = opened().await;
    let session = begun(&records, session_id(1), learner(1)).await;
    let old = commit(answer_id(1), &session);
    let mut new = commit(answer_id(2), &old.session);
    new.answer.at = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    for answer in [&old, &new] {
        records.commit_answer(answer).await.unwrap();
    }
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut places = async || -> Vec<String> {
        sqlx::query_scalar("SELECT tableoid::regclass::text FROM answers ORDER BY sequence")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    };
    let this_month = new.answer.at.strftime("answers_%Y_%m").to_string();
    assert_eq!(places().await, ["answers_other", &this_month]);
    // 1,700,000,000 s is in November 2023; a partition made late takes over what is there.
    let mut other = PgConnection::connect(&url).await.unwrap();
    sqlx::query("SELECT prepare_answers(1700000000000000, 2)").execute(&mut other).await.unwrap();
    assert_eq!(places().await, ["answers_2023_11", &this_month]);
    let stored = records.answers_after(0, 10).await.unwrap();
    assert_eq!(stored.iter().map(|s| &s.answer).collect::<Vec<_>>(), [&old.answer, &new.answer]);
    assert_eq!(records.answer(answer_id(1)).await.unwrap().as_ref(), stored.first());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_id_is_left_of_an_answer_that_was_under_way() {
    let (url, records) = opened().await;
    for round in 0..40 {
        let owner = learner(round);
        let session = begun(&records, session_id(round), owner).await;
        let first = commit(answer_id(2 * round), &session);
        records.commit_answer(&first).await.unwrap();
        let second = commit(answer_id(2 * round + 1), &first.session);
        let task = tokio::spawn({
            let records = records.clone();
            async move { records.commit_answer(&second).await }
        });
        for _ in 0..round % 4 {
            tokio::task::yield_now().await;
        }
        records.erase_learner(owner, &erased(owner)).await.unwrap();
        // Stored before and erased, or refused after.
        let _ = task.await.unwrap();
    }
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM answer_ids) + (SELECT count(*) FROM answers)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_month_that_is_over_is_dropped_as_a_partition() {
    let (url, records) = opened().await;
    let options = PostgresOptions::new(&url).unwrap();
    let months = async || {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let months: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
             WHERE inhparent = 'answers'::regclass ORDER BY relname",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        months
    };
    let opened_with = months().await;
    records.prepare_months("2023-11-14T00:00:00Z".parse().unwrap()).await.unwrap();
    let of_2023 = ["answers_2023_11", "answers_2023_12", "answers_2024_01"];
    assert_eq!(months().await[..3], of_2023);
    records.drop_months("2023-12-31T23:59:59Z".parse().unwrap()).await.unwrap();
    assert_eq!(months().await[..2], of_2023[1..]);
    records.drop_months("2024-02-01T00:00:00Z".parse().unwrap()).await.unwrap();
    assert_eq!(months().await, opened_with);

    let missing = async || Postgres::diagnose(&options).await.unwrap().missing_months.unwrap();
    assert_eq!(missing().await, [""; 0]);
    let next = Timestamp::now().strftime("%Y-%m").to_string();
    records.drop_months("2999-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    let found = missing().await;
    assert_eq!((found.len(), &found[0]), (2, &next));
    records.prepare_months(Timestamp::now()).await.unwrap();
    assert_eq!(missing().await, [""; 0]);
}

/// What holds up the work on partitions holds up that alone.
#[tokio::test]
async fn dropping_a_month_gives_way_to_whoever_reads_it() {
    let (url, records) = opened().await;
    let session = begun(&records, session_id(1), learner(1)).await;
    records.prepare_months("2023-11-14T00:00:00Z".parse().unwrap()).await.unwrap();
    let mut reader = PgConnection::connect(&url).await.unwrap();
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM answers").execute(&mut *reading).await.unwrap();
    let end = "2024-02-01T00:00:00Z".parse().unwrap();
    let refused = records.drop_months(end).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    let outcome = records.commit_answer(&commit(answer_id(1), &session)).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { sequence: 1 });
    reading.rollback().await.unwrap();
    records.drop_months(end).await.unwrap();
    assert_eq!(records.answers_after(0, 9).await.unwrap(), []);
}

#[tokio::test]
async fn connections_cut_by_the_server_are_replaced_unnoticed() {
    let (url, records) = opened().await;
    let mut session = begun(&records, session_id(1), learner(1)).await;
    let mut other = begun(&records, session_id(2), learner(1)).await;
    let mut killer = PgConnection::connect(&url).await.unwrap();
    for n in 0..20 {
        sqlx::query(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .execute(&mut killer)
        .await
        .unwrap();
        match n % 3 {
            0 => {
                let next = commit(answer_id(n), &session);
                let outcome = records.commit_answer(&next).await.unwrap();
                assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
                session = next.session;
            }
            1 => assert_eq!(records.session(session.id).await.unwrap().as_ref(), Some(&session)),
            _ => {
                other.version += 1;
                records.update_session(&other).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_statement_that_waits_for_a_lock_is_given_up() {
    let (url, records) = opened().await;
    let session = begun(&records, session_id(1), learner(1)).await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE sessions").execute(&mut *transaction).await.unwrap();
    let refused = records.commit_answer(&commit(answer_id(1), &session)).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    transaction.rollback().await.unwrap();
    let outcome = records.commit_answer(&commit(answer_id(1), &session)).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { sequence: 1 });
}

#[tokio::test]
async fn two_releases_work_side_by_side() {
    let (url, first) = opened().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations
             (version, description, installed_on, success, checksum, execution_time)
         VALUES (9999, 'of the next release', now(), true, '', 0);
         ALTER TABLE sessions ADD COLUMN something text",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let second = Postgres::open(&PostgresOptions::new(&url).unwrap()).await.unwrap();
    let session = begun(&first, session_id(1), learner(1)).await;
    let next = commit(answer_id(1), &session);
    second.commit_answer(&next).await.unwrap();
    assert_eq!(first.session(session.id).await.unwrap(), Some(next.session));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named() {
    let url = "postgres://nobody@127.0.0.1:1/nowhere";
    let refused = Postgres::open(&PostgresOptions::new(url).unwrap()).await.unwrap_err();
    assert!(refused.to_string().contains("nowhere at 127.0.0.1:1"), "{refused}");
    assert!(matches!(PostgresOptions::new("nonsense"), Err(Error::Invalid { what: "URL", .. })));
}
