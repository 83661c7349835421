use std::sync::Arc;

use quizmentor_store::records::Records;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::contract;
use crate::samples::at;

contract!(a_lease_is_one_holders_until_it_ends, of_many_at_the_same_time_one_gets_the_lease,);

async fn a_lease_is_one_holders_until_it_ends(records: Arc<dyn Records>) {
    let take = async |name: &str, holder, now, until| {
        records.take_lease(name, Uuid::from_u128(holder), at(now), at(until)).await.unwrap()
    };
    assert!(take("work", 1, 0, 10).await);
    assert!(!take("work", 2, 9, 19).await);
    assert!(take("other work", 2, 9, 19).await);
    assert!(take("work", 1, 9, 20).await, "the holder renews it");
    assert!(!take("work", 2, 19, 30).await);
    assert!(take("work", 2, 20, 30).await, "it has ended");
    assert!(!take("work", 1, 20, 30).await);
    assert!(take("work", 2, 21, 21).await, "the holder gives it back");
    assert!(take("work", 1, 21, 30).await);
}

async fn of_many_at_the_same_time_one_gets_the_lease(records: Arc<dyn Records>) {
    for round in 0..10 {
        let mut callers = JoinSet::new();
        for holder in 0..8 {
            let records = Arc::clone(&records);
            let holder = Uuid::from_u128(8 * round + holder);
            callers.spawn(async move {
                let (now, until) = (at(10 * round as i64), at(10 * round as i64 + 10));
                records.take_lease("work", holder, now, until).await.unwrap()
            });
        }
        assert_eq!(callers.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
    }
}
