//! The contract of the cache, and what is particular to each adapter.

mod redis;
mod server;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use bytes::Bytes;
use quizmentor_core::ManualClock;
use quizmentor_store::{
    Error,
    cache::{BACKLOG, Cache, LAST, Memory},
};

use self::server::RedisServer;
use crate::samples::{ODD_TEXT, at};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// What a test may take at most, where the server's own time cannot be stopped.
const SLACK: Duration = Duration::from_secs(20);

/// What makes time pass for a cache.
enum Time {
    Clock(Arc<ManualClock>),
    Server(RedisServer),
}

impl Time {
    async fn pass(&self, duration: Duration) {
        match self {
            Self::Clock(clock) => clock.advance(duration.try_into().unwrap()),
            Self::Server(server) => server.age(duration).await,
        }
    }
}

/// Turns functions of a cache and its time into tests of each adapter.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                let (cache, clock) = super::memory_of(10_000);
                super::$name(std::sync::Arc::new(cache), super::Time::Clock(clock)).await;
            })+
        }

        mod on_redis {
            $(#[tokio::test]
            async fn $name() {
                let server = super::RedisServer::start().await;
                let cache = std::sync::Arc::new(server.cache());
                super::$name(cache, super::Time::Server(server)).await;
            })+
        }
    };
}

contract!(
    values_live_until_they_expire,
    a_later_version_stays,
    of_versions_at_once_the_latest_stays,
    values_are_bytes_under_any_key,
    counters_add_up_and_expire,
    counters_do_not_overflow,
    concurrent_increments_all_count,
    windows_allow_their_limit,
    concurrent_requests_share_a_window,
    keys_of_the_four_kinds_are_apart,
    subscribers_hear_what_is_published_from_then_on,
    a_subscriber_who_falls_behind_is_left,
);

fn memory_of(capacity: usize) -> (Memory, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(at(0)));
    (Memory::new(clock.clone(), NonZeroUsize::new(capacity).unwrap()), clock)
}

async fn values_live_until_they_expire(cache: Arc<dyn Cache>, time: Time) {
    let get = async || cache.get("key").await.unwrap();
    let put = async |version, value, ttl| {
        cache.put("key", version, Bytes::from(value), ttl).await.unwrap();
    };
    assert_eq!(get().await, None);
    put(9, "one", HOUR).await;
    time.pass(59 * MINUTE).await;
    assert_eq!(get().await, Some((9, Bytes::from("one"))));
    time.pass(1 * MINUTE).await;
    assert_eq!(get().await, None);

    put(2, "two", Duration::MAX).await;
    time.pass(10_000_000 * MINUTE).await;
    assert_eq!(get().await, Some((2, Bytes::from("two"))), "what expired leaves no version");
    put(3, "three", HOUR).await;
    time.pass(60 * MINUTE).await;
    assert_eq!(get().await, None, "a new value brings its own lifetime");
}

async fn a_later_version_stays(cache: Arc<dyn Cache>, time: Time) {
    let get = async || cache.get("key").await.unwrap().map(|(version, _)| version);
    let put = async |version: u64| {
        let value = Bytes::from(version.to_string());
        cache.put("key", version, value, HOUR).await.unwrap();
    };
    for (version, held) in [(0, 0), (2, 2), (1, 2), (10, 10), (9, 10), (1 << 53, 1 << 53)] {
        put(version).await;
        assert_eq!(get().await, Some(held));
    }
    cache.remove("key", 10).await.unwrap();
    assert_eq!(get().await, Some(1 << 53));
    cache.remove("key", 1 << 53).await.unwrap();
    cache.remove("key", LAST).await.unwrap();
    assert_eq!(get().await, None);

    put(LAST).await;
    put(7).await;
    cache.remove("key", LAST - (1 << 20)).await.unwrap();
    assert_eq!(get().await, Some(LAST));
    time.pass(HOUR).await;
    put(7).await;
    assert_eq!(get().await, Some(7));
}

async fn of_versions_at_once_the_latest_stays(cache: Arc<dyn Cache>, _: Time) {
    let mut tasks = tokio::task::JoinSet::new();
    for version in (0..100).rev() {
        let cache = Arc::clone(&cache);
        tasks.spawn(async move { cache.put("key", version, Bytes::new(), HOUR).await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!(cache.get("key").await.unwrap(), Some((99, Bytes::new())));
}

async fn values_are_bytes_under_any_key(cache: Arc<dyn Cache>, _: Time) {
    let all: Bytes = (0..=255).collect();
    let keys = ["", " ", ODD_TEXT, "a:b", &"long".repeat(1_000)];
    for (n, key) in keys.iter().enumerate() {
        cache.put(key, 1, all.slice(n..), HOUR).await.unwrap();
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(cache.get(key).await.unwrap(), Some((1, all.slice(n..))));
    }
}

async fn counters_add_up_and_expire(cache: Arc<dyn Cache>, time: Time) {
    let add = async |by| cache.increment("key", by, HOUR).await.unwrap();
    assert_eq!(add(2).await, 2);
    time.pass(30 * MINUTE).await;
    assert_eq!(add(-5).await, -3);
    assert_eq!(add(0).await, -3);
    time.pass(30 * MINUTE).await;
    assert_eq!(add(1).await, 1, "the first increment sets the lifetime");
    cache.increment("other", 7, HOUR).await.unwrap();
    assert_eq!(add(1).await, 2);
}

async fn counters_do_not_overflow(cache: Arc<dyn Cache>, _: Time) {
    for end in [i64::MAX, i64::MIN] {
        let key = end.to_string();
        assert_eq!(cache.increment(&key, end, HOUR).await.unwrap(), end);
        let beyond = cache.increment(&key, end.signum(), HOUR).await;
        assert!(matches!(beyond, Err(Error::Invalid { .. })), "{beyond:?}");
        assert_eq!(cache.increment(&key, 0, HOUR).await.unwrap(), end);
    }
}

async fn concurrent_increments_all_count(cache: Arc<dyn Cache>, _: Time) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let cache = Arc::clone(&cache);
        tasks.spawn(async move {
            for _ in 0..10 {
                cache.increment("key", 1, HOUR).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(cache.increment("key", 0, HOUR).await.unwrap(), 1_000);
}

async fn windows_allow_their_limit(cache: Arc<dyn Cache>, time: Time) {
    let allow = async |key| cache.allow(key, 3, HOUR).await.unwrap();
    for _ in 0..3 {
        assert!(allow("key").await.allowed);
        time.pass(10 * MINUTE).await;
    }
    for waited in [0, 1, 28] {
        time.pass(waited * MINUTE).await;
        let refused = allow("key").await;
        assert!(!refused.allowed);
        assert!(refused.retry_after > Duration::ZERO && refused.retry_after <= HOUR / 2);
    }
    let refused = allow("key").await;
    let last = MINUTE - SLACK..=MINUTE;
    assert!(last.contains(&refused.retry_after), "refusals do not prolong: {refused:?}");
    assert!(allow("other").await.allowed);
    time.pass(refused.retry_after).await;
    let allowed = allow("key").await;
    assert_eq!((allowed.allowed, allowed.retry_after), (true, Duration::ZERO));
    let never = cache.allow("never", 0, HOUR).await.unwrap();
    assert_eq!((never.allowed, never.retry_after), (false, HOUR));
}

async fn concurrent_requests_share_a_window(cache: Arc<dyn Cache>, _: Time) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let cache = Arc::clone(&cache);
        tasks.spawn(async move { cache.allow("key", 120, HOUR).await.unwrap().allowed });
    }
    let allowed = tasks.join_all().await.into_iter().filter(|&allowed| allowed).count();
    assert_eq!(allowed, 120);
}

async fn keys_of_the_four_kinds_are_apart(cache: Arc<dyn Cache>, _: Time) {
    cache.put("key", 1, Bytes::from("value"), HOUR).await.unwrap();
    assert_eq!(cache.increment("key", 5, HOUR).await.unwrap(), 5);
    assert!(cache.allow("key", 1, HOUR).await.unwrap().allowed);
    assert_eq!(cache.get("key").await.unwrap(), Some((1, Bytes::from("value"))));
    cache.remove("key", LAST).await.unwrap();
    assert_eq!(cache.increment("key", 1, HOUR).await.unwrap(), 6);
    assert!(!cache.allow("key", 1, HOUR).await.unwrap().allowed);
    let mut news = cache.subscribe("key").await.unwrap();
    cache.publish("key", Bytes::from("news")).await.unwrap();
    assert_eq!(news.recv().await.unwrap(), "news");
    assert_eq!(cache.increment("key", 1, HOUR).await.unwrap(), 7);
}

async fn subscribers_hear_what_is_published_from_then_on(cache: Arc<dyn Cache>, _: Time) {
    let publish = async |topic: &str, message: &'static str| {
        cache.publish(topic, Bytes::from(message)).await.unwrap();
    };
    publish("a", "nobody listens").await;
    let mut first = cache.subscribe("a").await.unwrap();
    publish("a", "one").await;
    let mut second = cache.subscribe("a").await.unwrap();
    let mut other = cache.subscribe("b").await.unwrap();
    publish("a", "two").await;
    publish("b", "three").await;
    assert_eq!(first.recv().await.unwrap(), "one");
    assert_eq!(first.recv().await.unwrap(), "two");
    assert_eq!(second.recv().await.unwrap(), "two");
    assert_eq!(other.recv().await.unwrap(), "three");
    drop(second);
    publish("a", "four").await;
    assert_eq!(first.recv().await.unwrap(), "four");
    assert!(first.try_recv().is_err() && other.try_recv().is_err());
}

async fn a_subscriber_who_falls_behind_is_left(cache: Arc<dyn Cache>, _: Time) {
    let mut slow = cache.subscribe("a").await.unwrap();
    for n in 0..BACKLOG + 100 {
        cache.publish("a", n.to_string().into()).await.unwrap();
    }
    for n in 0..BACKLOG {
        assert_eq!(slow.recv().await.unwrap(), n.to_string());
    }
    assert_eq!(slow.recv().await, None);
}

#[tokio::test]
async fn memory_keeps_the_entries_used_last() {
    let (cache, _) = memory_of(3);
    for key in ["a", "b", "c"] {
        cache.put(key, 1, Bytes::from(key), MINUTE).await.unwrap();
    }
    cache.get("a").await.unwrap();
    cache.put("d", 1, Bytes::from("d"), MINUTE).await.unwrap();
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
        cache.put(&n.to_string(), 1, Bytes::new(), MINUTE).await.unwrap();
        cache.increment(&n.to_string(), 1, MINUTE).await.unwrap();
    }
    assert!(!cache.allow("client", 1, MINUTE).await.unwrap().allowed);
}
