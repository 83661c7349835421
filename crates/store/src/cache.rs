//! The port of the cache: values that may vanish at any time, counters, rate limits, and news
//! between processes.

mod memory;
mod redis;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

pub use self::{memory::Memory, redis::Redis};
use crate::Result;

/// Messages that wait for a subscriber at most.
pub const BACKLOG: usize = 1_024;

/// The version of a value that no other takes the place of.
pub const LAST: u64 = u64::MAX;

/// Whether one more request may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// It may.
    pub allowed: bool,
    /// How long to wait before the next try; zero when it may.
    pub retry_after: Duration,
}

/// A shared cache. Values, counters, rate limits and topics are four spaces of keys.
///
/// Every method fails with [`Unavailable`](crate::Error::Unavailable) when the cache does not
/// answer; callers then go on without it.
#[async_trait]
pub trait Cache: Send + Sync {
    /// Whether the cache answers.
    async fn ping(&self) -> Result<()>;

    /// The value of `key` with its version, unless it expired or was evicted.
    async fn get(&self, key: &str) -> Result<Option<(u64, Bytes)>>;

    /// Sets `key` to `version` of its value for `ttl`, unless it holds a later one: whatever comes
    /// late changes nothing. Versions below 2⁵³ are told apart exactly; [`LAST`] is later than all.
    async fn put(&self, key: &str, version: u64, value: Bytes, ttl: Duration) -> Result<()>;

    /// Removes `key`, unless it holds a later version than `version`.
    async fn remove(&self, key: &str, version: u64) -> Result<()>;

    /// Adds `by` to the counter `key` and returns its new value. A counter begins with 0 and
    /// lives for the `ttl` of its first increment.
    ///
    /// # Errors
    /// `Invalid` when the counter would leave the range of an `i64`; it is then unchanged.
    async fn increment(&self, key: &str, by: i64, ttl: Duration) -> Result<i64>;

    /// Counts a request against `limit` requests in a window of fixed length, which begins with
    /// the first request of `key`. A refused request does not prolong the window.
    async fn allow(&self, key: &str, limit: u32, window: Duration) -> Result<Allowance>;

    /// Tells `message` to those who subscribe to `topic` now, in every process. Each gets it at
    /// most once, and the messages of one publisher in their order.
    async fn publish(&self, topic: &str, message: Bytes) -> Result<()>;

    /// What is published to `topic` from now on. It ends when the cache goes away, or when
    /// [`BACKLOG`] messages wait already: whoever sees the end has missed something.
    async fn subscribe(&self, topic: &str) -> Result<mpsc::Receiver<Bytes>>;
}
