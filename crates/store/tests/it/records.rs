//! The records: a contract for every adapter, a model to compare with, and each database's own
//! matters.

mod accounts;
mod analyses;
mod answers;
mod copy;
mod erasure;
mod jobs;
mod leases;
mod model;
mod months;
mod postgres;
mod prerequisites;
mod questions;
mod sessions;
mod snapshots;
mod sqlite;

use std::sync::Arc;

use quizmentor_core::{LearnerId, Session, SessionId};
use quizmentor_store::records::{Postgres, PostgresOptions, Records, Sqlite};
use tempfile::TempDir;

use crate::{
    samples::{at, question, session},
    servers::new_database,
};

/// Turns functions of `Arc<dyn Records>` into tests of each adapter.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod sqlite_file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (_directory, records) = crate::records::in_file().await;
                super::$name(records).await;
            })+
        }

        mod sqlite_in_memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::records::in_memory().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::records::in_postgres().await).await;
            })+
        }
    };
}
use contract;

async fn in_file() -> (TempDir, Arc<dyn Records>) {
    let directory = tempfile::tempdir().unwrap();
    let records = Sqlite::open(directory.path().join("quizmentor.db")).await.unwrap();
    (directory, Arc::new(records))
}

async fn in_memory() -> Arc<dyn Records> {
    Arc::new(Sqlite::in_memory().await.unwrap())
}

async fn in_postgres() -> Arc<dyn Records> {
    let options = PostgresOptions::new(&new_database().await).unwrap();
    Arc::new(Postgres::open(&options).await.unwrap())
}

/// Question `q-1`, the learner, and a session of theirs.
async fn begun(records: &dyn Records, id: SessionId, learner: LearnerId) -> Session {
    records.put_questions(&[question("q-1")]).await.unwrap();
    if !records.learner_exists(learner).await.unwrap() {
        records.create_learner(learner, at(0)).await.unwrap();
    }
    let session = session(id, learner);
    records.create_session(&session).await.unwrap();
    session
}
