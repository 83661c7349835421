//! The contract of the cache, and the bounds of the one in memory.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use bytes::Bytes;
use quizmentor_core::{ManualClock, SignedDuration};
use quizmentor_store::{
    Error,
    cache::{Cache, Memory},
};

use crate::samples::{ODD_TEXT, at};

const MINUTE: Duration = Duration::from_secs(60);

/// Turns functions of a cache and the clock it reads into tests of each adapter.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                let (cache, clock) = super::memory_of(100);
                super::$name(Arc::new(cache), clock).await;
            })+

            use std::sync::Arc;
        }
    };
}

contract!(
    values_live_until_they_expire,
    values_are_bytes_under_any_key,
    counters_add_up_and_expire,
    counters_do_not_overflow,
    concurrent_increments_all_count,
    windows_allow_their_limit,
    keys_of_the_three_kinds_are_apart,
);

fn memory_of(capacity: usize) -> (Memory, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(at(0)));
    (Memory::new(clock.clone(), NonZeroUsize::new(capacity).unwrap()), clock)
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

async fn values_live_until_they_expire(cache: Arc<dyn Cache>, clock: Arc<ManualClock>) {
    let get = async || cache.get("key").await.unwrap();
    assert_eq!(get().await, None);
    cache.put("key", Bytes::from("one"), MINUTE).await.unwrap();
    clock.advance(seconds(59));
    assert_eq!(get().await, Some(Bytes::from("one")));
    clock.advance(seconds(1));
    assert_eq!(get().await, None);

    cache.put("key", Bytes::from("two"), Duration::MAX).await.unwrap();
    clock.advance(seconds(1_000_000_000));
    assert_eq!(get().await, Some(Bytes::from("two")));
    cache.put("key", Bytes::from("three"), MINUTE).await.unwrap();
    clock.advance(seconds(60));
    assert_eq!(get().await, None, "a new value brings its own lifetime");

    cache.put("key", Bytes::from("four"), MINUTE).await.unwrap();
    cache.put("key", Bytes::from("five"), Duration::ZERO).await.unwrap();
    assert_eq!(get().await, None);
    cache.put("key", Bytes::from("six"), MINUTE).await.unwrap();
    cache.remove("key").await.unwrap();
    cache.remove("key").await.unwrap();
    assert_eq!(get().await, None);
}

async fn values_are_bytes_under_any_key(cache: Arc<dyn Cache>, _: Arc<ManualClock>) {
    let all: Bytes = (0..=255).collect();
    let keys = ["", " ", ODD_TEXT, "a:b", &"long".repeat(1_000)];
    for (n, key) in keys.iter().enumerate() {
        cache.put(key, all.slice(n..), MINUTE).await.unwrap();
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(cache.get(key).await.unwrap(), Some(all.slice(n..)));
    }
}

async fn counters_add_up_and_expire(cache: Arc<dyn Cache>, clock: Arc<ManualClock>) {
    let add = async |by| cache.increment("key", by, MINUTE).await.unwrap();
    assert_eq!(add(2).await, 2);
    clock.advance(seconds(30));
    assert_eq!(add(-5).await, -3);
    assert_eq!(add(0).await, -3);
    clock.advance(seconds(30));
    assert_eq!(add(1).await, 1, "the first increment sets the lifetime");
    cache.increment("other", 7, MINUTE).await.unwrap();
    assert_eq!(add(1).await, 2);
}

async fn counters_do_not_overflow(cache: Arc<dyn Cache>, _: Arc<ManualClock>) {
    for end in [i64::MAX, i64::MIN] {
        let key = end.to_string();
        assert_eq!(cache.increment(&key, end, MINUTE).await.unwrap(), end);
        let beyond = cache.increment(&key, end.signum(), MINUTE).await;
        assert!(matches!(beyond, Err(Error::Invalid { .. })), "{beyond:?}");
        assert_eq!(cache.increment(&key, 0, MINUTE).await.unwrap(), end);
    }
}

async fn concurrent_increments_all_count(cache: Arc<dyn Cache>, _: Arc<ManualClock>) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    for _ in 0..250 {
                        cache.increment("key", 1, MINUTE).await.unwrap();
                    }
                });
            });
        }
    });
    assert_eq!(cache.increment("key", 0, MINUTE).await.unwrap(), 1_000);
}

async fn windows_allow_their_limit(cache: Arc<dyn Cache>, clock: Arc<ManualClock>) {
    let allow = async |key| cache.allow(key, 3, MINUTE).await.unwrap();
    for _ in 0..3 {
        assert!(allow("key").await.allowed);
        clock.advance(seconds(10));
    }
    for waited in [0, 1, 28] {
        clock.advance(seconds(waited));
        let refused = allow("key").await;
        assert!(!refused.allowed);
        assert!(refused.retry_after > Duration::ZERO && refused.retry_after <= MINUTE / 2);
    }
    let refused = allow("key").await;
    assert_eq!(refused.retry_after, Duration::from_secs(1), "refusals do not prolong");
    assert!(allow("other").await.allowed);
    clock.advance(refused.retry_after.try_into().unwrap());
    let allowed = allow("key").await;
    assert_eq!((allowed.allowed, allowed.retry_after), (true, Duration::ZERO));
    let never = cache.allow("never", 0, MINUTE).await.unwrap();
    assert_eq!((never.allowed, never.retry_after), (false, MINUTE));
}

async fn keys_of_the_three_kinds_are_apart(cache: Arc<dyn Cache>, _: Arc<ManualClock>) {
    cache.put("key", Bytes::from("value"), MINUTE).await.unwrap();
    assert_eq!(cache.increment("key", 5, MINUTE).await.unwrap(), 5);
    assert!(cache.allow("key", 1, MINUTE).await.unwrap().allowed);
    assert_eq!(cache.get("key").await.unwrap(), Some(Bytes::from("value")));
    cache.remove("key").await.unwrap();
    assert_eq!(cache.increment("key", 1, MINUTE).await.unwrap(), 6);
    assert!(!cache.allow("key", 1, MINUTE).await.unwrap().allowed);
}

#[tokio::test]
async fn memory_keeps_the_entries_used_last() {
    let (cache, _) = memory_of(3);
    for key in ["a", "b", "c"] {
        cache.put(key, Bytes::from(key), MINUTE).await.unwrap();
    }
    cache.get("a").await.unwrap();
    cache.put("d", Bytes::from("d"), MINUTE).await.unwrap();
    let mut kept = String::new();
    for key in ["a", "b", "c", "d"] {
        if cache.get(key).await.unwrap().is_some() {
            kept.push_str(key);
        }
    }
    assert_eq!(kept, "acd");
}

#[tokio::test]
async fn a_flood_of_values_does_not_lift_a_rate_limit() {
    let (cache, _) = memory_of(3);
    assert!(cache.allow("client", 1, MINUTE).await.unwrap().allowed);
    for n in 0..100 {
        cache.put(&n.to_string(), Bytes::new(), MINUTE).await.unwrap();
        cache.increment(&n.to_string(), 1, MINUTE).await.unwrap();
    }
    assert!(!cache.allow("client", 1, MINUTE).await.unwrap().allowed);
}
