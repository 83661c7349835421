use std::{collections::HashSet, sync::Arc};

use quizmentor_store::records::{Job, NewJob, Records};
use serde_json::json;
use uuid::Uuid;

use super::{begun, contract};
use crate::samples::{ODD_TEXT, answer_id, at, commit, learner, session_id};

contract!(
    jobs_replace_the_events_that_they_come_of,
    a_job_is_leased_once_until_its_lease_ends,
    of_many_workers_each_gets_other_jobs,
    a_failed_job_is_put_off_or_given_up,
    who_lost_the_lease_changes_nothing,
);

fn job(n: u128, due: i64) -> NewJob {
    NewJob {
        id: Uuid::from_u128(n),
        kind: "webhook".into(),
        payload: json!({"n": n as u64, "text": ODD_TEXT}),
        learner: (n % 2 == 1).then(|| learner(n)),
        due: at(due),
    }
}

async fn add(records: &dyn Records, jobs: &[NewJob]) {
    for learner in jobs.iter().filter_map(|job| job.learner) {
        if !records.learner_exists(learner).await.unwrap() {
            records.create_learner(learner, at(0)).await.unwrap();
        }
    }
    records.outbox_acknowledge(0, jobs).await.unwrap();
}

async fn lease(records: &dyn Records, now: i64) -> Vec<Job> {
    records.lease_jobs("webhook", at(now), at(now + 60), 10).await.unwrap()
}

async fn jobs_replace_the_events_that_they_come_of(records: Arc<dyn Records>) {
    let session = begun(&*records, session_id(1), learner(1)).await;
    records.commit_answer(&commit(answer_id(1), &session)).await.unwrap();
    let waiting = records.outbox_after(0, 10).await.unwrap();
    for _ in 0..2 {
        records.outbox_acknowledge(waiting[0].sequence, &[job(1, 0), job(2, 0)]).await.unwrap();
    }
    assert_eq!(records.outbox_after(0, 10).await.unwrap(), []);
    let mut jobs = lease(&*records, 0).await;
    jobs.sort_by_key(|leased| leased.job.id);
    let leased = |n| Job { job: NewJob { due: at(60), ..job(n, 0) }, attempts: 1, error: None };
    assert_eq!(jobs, [leased(1), leased(2)]);
}

async fn a_job_is_leased_once_until_its_lease_ends(records: Arc<dyn Records>) {
    add(&*records, &[job(1, 10), NewJob { kind: "other".into(), ..job(2, 0) }]).await;
    assert_eq!(lease(&*records, 9).await, []);
    assert_eq!(lease(&*records, 10).await.len(), 1);
    assert_eq!(lease(&*records, 69).await, []);
    let again = lease(&*records, 70).await;
    assert_eq!(again[0].attempts, 2);
    assert!(records.finish_job(&again[0]).await.unwrap());
    assert!(!records.finish_job(&again[0]).await.unwrap());
    assert_eq!(lease(&*records, 1_000).await, []);
}

async fn of_many_workers_each_gets_other_jobs(records: Arc<dyn Records>) {
    let jobs: Vec<_> = (0..40).map(|n| job(n, 0)).collect();
    add(&*records, &jobs).await;
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let records = records.clone();
            tokio::spawn(
                async move { records.lease_jobs("webhook", at(0), at(60), 5).await.unwrap() },
            )
        })
        .collect();
    let (mut ids, mut count) = (HashSet::new(), 0);
    for worker in workers {
        let leased = worker.await.unwrap();
        count += leased.len();
        ids.extend(leased.iter().map(|leased| leased.job.id));
    }
    count += lease(&*records, 0).await.iter().filter(|l| ids.insert(l.job.id)).count();
    assert_eq!((ids.len(), count), (40, 40));
}

async fn a_failed_job_is_put_off_or_given_up(records: Arc<dyn Records>) {
    add(&*records, &[job(1, 0), job(2, 0), job(3, 0)]).await;
    let leased = lease(&*records, 0).await;
    for failed in &leased {
        let retry = (failed.job.id == Uuid::from_u128(1)).then(|| at(5));
        assert!(records.fail_job(failed, "no\0 answer", retry).await.unwrap());
    }
    assert_eq!(lease(&*records, 4).await, []);
    let retried = lease(&*records, 1_000).await;
    assert_eq!(retried.len(), 1);
    assert_eq!(retried[0].attempts, 2);
    assert_eq!(retried[0].error.as_deref(), Some("no\u{fffd} answer"));

    let page = records.dead_jobs(None, 1).await.unwrap();
    assert_eq!((page.items[0].job.id, page.more), (Uuid::from_u128(2), true));
    let rest = records.dead_jobs(Some(page.items[0].job.id), 1).await.unwrap();
    assert_eq!((rest.items[0].job.id, rest.more), (Uuid::from_u128(3), false));
    assert_eq!(records.revive_jobs(Some(Uuid::from_u128(9)), at(0)).await.unwrap(), 0);
    assert_eq!(records.revive_jobs(Some(Uuid::from_u128(2)), at(2_000)).await.unwrap(), 1);
    assert_eq!(records.revive_jobs(None, at(2_000)).await.unwrap(), 1);
    assert_eq!(records.dead_jobs(None, 10).await.unwrap().items, []);
    let revived = lease(&*records, 2_000).await;
    assert_eq!(revived.iter().filter(|job| job.attempts == 1).count(), 2);
}

async fn who_lost_the_lease_changes_nothing(records: Arc<dyn Records>) {
    add(&*records, &[job(1, 0)]).await;
    let slow = lease(&*records, 0).await.remove(0);
    let other = lease(&*records, 60).await.remove(0);
    assert!(!records.finish_job(&slow).await.unwrap());
    assert!(!records.fail_job(&slow, "late", None).await.unwrap());
    assert_eq!(records.dead_jobs(None, 10).await.unwrap().items, []);
    assert!(records.finish_job(&other).await.unwrap());
}
