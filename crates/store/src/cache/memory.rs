//! The cache of one process.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use lru::LruCache;
use quizmentor_core::{Clock, SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::{Allowance, BACKLOG, Cache};
use crate::{Error, Result};

/// A cache in memory that holds the most recently used entries.
pub struct Memory {
    clock: Arc<dyn Clock>,
    values: Table<(u64, Bytes)>,
    counters: Table<i64>,
    windows: Table<u32>,
    topics: Mutex<HashMap<Box<str>, Vec<mpsc::Sender<Bytes>>>>,
}

impl Memory {
    /// An empty cache of at most `capacity` values, as many counters and as many rate limits. A
    /// new entry takes the place of the one that was unused for longest.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, capacity: NonZeroUsize) -> Self {
        Self {
            clock,
            values: Table::new(capacity),
            counters: Table::new(capacity),
            windows: Table::new(capacity),
            topics: Mutex::default(),
        }
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<mpsc::Sender<Bytes>>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Table<V>(Mutex<LruCache<Box<str>, Entry<V>>>);

struct Entry<V> {
    value: V,
    expires: Timestamp,
}

impl<V> Table<V> {
    /// The map grows as it is filled.
    fn new(capacity: NonZeroUsize) -> Self {
        let mut entries = LruCache::unbounded();
        entries.resize(capacity);
        Self(Mutex::new(entries))
    }

    fn with<R>(&self, work: impl FnOnce(&mut LruCache<Box<str>, Entry<V>>) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works on the living entry of `key`, or on a new one of `initial` for `ttl`.
    fn update<R>(
        &self,
        key: &str,
        now: Timestamp,
        (initial, ttl): (V, Duration),
        work: impl FnOnce(&mut Entry<V>) -> R,
    ) -> R {
        self.with(|entries| {
            if entries.peek(key).is_some_and(|entry| entry.expires <= now) {
                entries.pop(key);
            }
            let fresh = || Entry { value: initial, expires: later(now, ttl) };
            work(entries.get_or_insert_mut(key.into(), fresh))
        })
    }
}

/// `now` + `ttl`, or the end of time.
fn later(now: Timestamp, ttl: Duration) -> Timestamp {
    SignedDuration::try_from(ttl)
        .ok()
        .and_then(|ttl| now.checked_add(ttl).ok())
        .unwrap_or(Timestamp::MAX)
}

#[async_trait]
impl Cache for Memory {
    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<(u64, Bytes)>> {
        let now = self.clock.now();
        Ok(self.values.with(|entries| {
            let entry = entries.get(key)?;
            if entry.expires > now {
                return Some(entry.value.clone());
            }
            entries.pop(key);
            None
        }))
    }

    async fn put(&self, key: &str, version: u64, value: Bytes, ttl: Duration) -> Result<()> {
        let now = self.clock.now();
        let entry = Entry { value: (version, value), expires: later(now, ttl) };
        self.values.with(|entries| {
            let is_later =
                |held: &Entry<(u64, Bytes)>| held.expires > now && held.value.0 > version;
            if !entries.peek(key).is_some_and(is_later) {
                entries.put(key.into(), entry);
            }
        });
        Ok(())
    }

    async fn remove(&self, key: &str, version: u64) -> Result<()> {
        self.values.with(|entries| {
            if entries.peek(key).is_some_and(|held| held.value.0 <= version) {
                entries.pop(key);
            }
        });
        Ok(())
    }

    async fn increment(&self, key: &str, by: i64, ttl: Duration) -> Result<i64> {
        self.counters.update(key, self.clock.now(), (0, ttl), |counter| {
            counter.value = counter
                .value
                .checked_add(by)
                .ok_or_else(|| Error::invalid("counter", "would leave the range of 64 bits"))?;
            Ok(counter.value)
        })
    }

    async fn allow(&self, key: &str, limit: u32, window: Duration) -> Result<Allowance> {
        let now = self.clock.now();
        // A window that ends later than a new one would was begun before the clock was put back.
        let end = later(now, window);
        Ok(self.windows.update(key, now, (0, window), |used| {
            if used.expires > end {
                *used = Entry { value: 0, expires: end };
            }
            if used.value < limit {
                used.value += 1;
                return Allowance { allowed: true, retry_after: Duration::ZERO };
            }
            let rest = used.expires.duration_since(now);
            Allowance { allowed: false, retry_after: rest.try_into().unwrap_or_default() }
        }))
    }

    async fn publish(&self, topic: &str, message: Bytes) -> Result<()> {
        let mut topics = self.topics();
        if let Some(subscribers) = topics.get_mut(topic) {
            subscribers.retain(|subscriber| subscriber.try_send(message.clone()).is_ok());
            if subscribers.is_empty() {
                topics.remove(topic);
            }
        }
        Ok(())
    }

    async fn subscribe(&self, topic: &str) -> Result<mpsc::Receiver<Bytes>> {
        let (subscriber, messages) = mpsc::channel(BACKLOG);
        self.topics().entry(topic.into()).or_default().push(subscriber);
        Ok(messages)
    }
}
