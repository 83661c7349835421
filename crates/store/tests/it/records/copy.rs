//! The content moves between databases without a difference.

use std::sync::Arc;

use quizmentor_core::Role;
use quizmentor_store::{
    Error, Result,
    records::{
        Analysis, CommitOutcome, Entry, LinkHash, NewJob, Prerequisites, Records, SnapshotInfo,
    },
};
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{begun, contract, in_memory, in_postgres};
use crate::samples::{
    ODD_TEXT, answer_id, at, commit, full_session, learner, question_id, questions_of_every_kind,
    session_id, skill,
};

contract!(
    content_comes_back_as_it_was,
    only_empty_records_are_filled,
    a_part_of_the_content_changes_nothing,
);

async fn dump(records: &dyn Records) -> Vec<Entry> {
    let (sink, mut entries) = mpsc::channel(4);
    let collect = async {
        let mut all = Vec::new();
        while let Some(entry) = entries.recv().await {
            all.push(entry);
        }
        all
    };
    let (dumped, all) = tokio::join!(records.dump(sink), collect);
    dumped.unwrap();
    all
}

async fn load(records: &dyn Records, content: &[Entry]) -> Result<()> {
    let (sender, entries) = mpsc::channel(4);
    let content = content.to_vec();
    tokio::spawn(async move {
        for entry in content {
            if sender.send(entry).await.is_err() {
                return;
            }
        }
    });
    records.load(entries).await
}

/// Stores something of everything.
async fn fill(records: &dyn Records) {
    let session = begun(records, session_id(1), learner(1)).await;
    records.put_questions(&questions_of_every_kind()).await.unwrap();
    let analysis = Analysis {
        question: question_id("q-1"),
        model: "m".into(),
        stem_hash: [255; 32],
        level: quizmentor_core::Level::Analyze,
        embedding: vec![0.1, f32::MIN_POSITIVE],
    };
    records.put_analyses(&[analysis]).await.unwrap();
    let of = [(skill("a/b"), [skill("a/c")].into())].into();
    records.put_prerequisites(&Prerequisites { version: 1, of }).await.unwrap();
    records.create_link(LinkHash([1; 32]), Role::Admin, learner(1), at(60)).await.unwrap();
    records.create_session(&full_session(session_id(2), learner(1))).await.unwrap();
    for (version, bytes) in [(1, &b""[..]), (2, &[0, 255])] {
        records.put_snapshot(SnapshotInfo { version, upto_sequence: 0 }, bytes).await.unwrap();
    }
    let mut session = session;
    for n in 0..3 {
        let mut next = commit(answer_id(n), &session);
        next.event.payload = json!({"text": ODD_TEXT, "number": 0.1 + 0.2});
        records.commit_answer(&next).await.unwrap();
        session = next.session;
    }
    let job = |n, kind: &str| NewJob {
        id: Uuid::from_u128(n),
        kind: kind.into(),
        payload: json!({"text": ODD_TEXT}),
        learner: Some(learner(1)),
        due: at(0),
    };
    records.outbox_acknowledge(1, &[job(1, "dead"), job(2, "live")]).await.unwrap();
    let leased = records.lease_jobs("dead", at(0), at(1), 1).await.unwrap();
    records.fail_job(&leased[0], "gone", None).await.unwrap();
    // What was given out last is gone, and yet not given out again.
    records.outbox_acknowledge(3, &[]).await.unwrap();
    let next = commit(answer_id(9), &session);
    records.commit_answer(&next).await.unwrap();
}

async fn content_comes_back_as_it_was(records: Arc<dyn Records>) {
    fill(&*records).await;
    let content = dump(&*records).await;
    assert!(content.len() > 20, "{}", content.len());
    let lines: Vec<_> = content.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    let read: Vec<Entry> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, content);
    let postgres = in_postgres().await;
    load(&*postgres, &read).await.unwrap();
    assert_eq!(dump(&*postgres).await, content);
    let sqlite = in_memory().await;
    load(&*sqlite, &dump(&*postgres).await).await.unwrap();
    assert_eq!(dump(&*sqlite).await, content);
    for moved in [&*postgres, &*sqlite] {
        let session = moved.session(session_id(1)).await.unwrap().unwrap();
        let known = moved.commit_answer(&commit(answer_id(0), &session)).await.unwrap();
        assert!(matches!(known, CommitOutcome::Duplicate(_)), "{known:?}");
        let next = moved.commit_answer(&commit(answer_id(10), &session)).await.unwrap();
        assert_eq!(next, CommitOutcome::Committed { sequence: 5 });
        let events = moved.outbox_after(0, 9).await.unwrap();
        assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [4, 5]);
        let found = moved.questions(&Default::default(), None, 99).await.unwrap();
        assert_eq!(found.items.len(), 8);
    }
}

async fn only_empty_records_are_filled(records: Arc<dyn Records>) {
    begun(&*records, session_id(1), learner(1)).await;
    let content = dump(&*records).await;
    let refused = load(&*records, &content).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(dump(&*records).await, content);
}

async fn a_part_of_the_content_changes_nothing(records: Arc<dyn Records>) {
    let full = in_memory().await;
    fill(&*full).await;
    let content = dump(&*full).await;
    let refused = load(&*records, &content[..content.len() - 1]).await;
    assert!(matches!(refused, Err(Error::Invalid { what: "entries", .. })), "{refused:?}");
    assert_eq!(dump(&*records).await.len(), 1, "the positions alone");
    load(&*records, &content).await.unwrap();
}
