//! The port of the cache: values that may vanish at any time, counters, and rate limits.

mod memory;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::memory::Memory;
use crate::Result;

/// Whether one more request may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// It may.
    pub allowed: bool,
    /// How long to wait before the next try; zero when it may.
    pub retry_after: Duration,
}

/// A shared cache. Values, counters and rate limits are three spaces of keys.
///
/// Every method fails with [`Unavailable`](crate::Error::Unavailable) when the cache does not
/// answer; callers then go on without it.
#[async_trait]
pub trait Cache: Send + Sync {
    /// The value of `key`, unless it expired or was evicted.
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;

    /// Sets `key` for `ttl`; a `ttl` of zero removes it.
    async fn put(&self, key: &str, value: Bytes, ttl: Duration) -> Result<()>;

    /// Removes `key`.
    async fn remove(&self, key: &str) -> Result<()>;

    /// Adds `by` to the counter `key` and returns its new value. A counter begins with 0 and
    /// lives for the `ttl` of its first increment.
    ///
    /// # Errors
    /// `Invalid` when the counter would leave the range of an `i64`; it is then unchanged.
    async fn increment(&self, key: &str, by: i64, ttl: Duration) -> Result<i64>;

    /// Counts a request against `limit` requests in a window of fixed length, which begins with
    /// the first request of `key`. A refused request does not prolong the window.
    async fn allow(&self, key: &str, limit: u32, window: Duration) -> Result<Allowance>;
}
