//! The cache on a Redis server, shared by processes.
//!
//! Every key has a lifetime and stands below a namespace. A server that does not answer is left
//! alone for a moment, so that those who can do without it are not held up.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError, RedisResult, Script, Value,
    aio::{ConnectionManager, ConnectionManagerConfig, PubSub},
    cmd, pipe,
};
use tokio::{
    sync::mpsc,
    time::{Instant, interval, timeout},
};
use tracing::Instrument;

use super::{Allowance, BACKLOG, Cache};
use crate::{Error, Result};

/// Longest time for an answer; without one the cache counts as away.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a cache that is away is not asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest time to make a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Waits between tries to connect anew: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How often a subscription makes sure that its connection lives, and how long that may take: to
/// give up one that lives would make all listeners read anew.
const PULSE: Duration = Duration::from_secs(1);
/// Decimal digits of a version, which stand before its value.
const DIGITS: usize = 20;

/// Sets KEYS[1] to the version ARGV[1], its value ARGV[2], for ARGV[3] milliseconds, unless it holds
/// a later version.
const PUT: &str = "
    local held = tonumber(redis.call('GETRANGE', KEYS[1], 0, 19))
    if not held or held <= tonumber(ARGV[1]) then
        redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
    end
";

/// Removes KEYS[1], unless it holds a later version than ARGV[1].
const REMOVE: &str = "
    local held = tonumber(redis.call('GETRANGE', KEYS[1], 0, 19))
    if held and held <= tonumber(ARGV[1]) then
        redis.call('DEL', KEYS[1])
    end
";

/// Takes one of ARGV[1] places of the window KEYS[1], which lasts ARGV[2] milliseconds. Returns
/// −1 for a place taken, else the milliseconds until the window ends.
const ALLOW: &str = "
    local used = tonumber(redis.call('GET', KEYS[1]) or '0')
    if used < tonumber(ARGV[1]) then
        if redis.call('INCR', KEYS[1]) == 1 then
            redis.call('PEXPIRE', KEYS[1], ARGV[2])
        end
        return -1
    end
    if used == 0 then
        return tonumber(ARGV[2])
    end
    return redis.call('PTTL', KEYS[1])
";

/// A cache on a Redis server.
pub struct Redis {
    address: String,
    client: Client,
    connection: ConnectionManager,
    namespace: String,
    put: Script,
    remove: Script,
    allow: Script,
    /// Not to be asked before then.
    away: Mutex<Option<Instant>>,
}

impl Redis {
    /// The cache at `url` (`redis://`, with TLS `rediss://`, or `unix://`), whose keys all begin
    /// with `namespace`. It need not be there yet: [`ping`](Cache::ping) tells. Must be called on
    /// a runtime.
    ///
    /// # Errors
    /// `Invalid` when `url` is none of Redis.
    pub fn new(url: &str, password: Option<&str>, namespace: &str) -> Result<Self> {
        let unsound = |error: RedisError| Error::invalid("cache URL", error.to_string());
        let mut info = url.into_connection_info().map_err(unsound)?;
        if let Some(password) = password {
            let settings = info.redis_settings().clone().set_password(password);
            info = info.set_redis_settings(settings);
        }
        let address = info.addr().to_string();
        let client = Client::open(info).map_err(unsound)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(PATIENCE))
            .set_min_delay(BACKOFF.0)
            .set_max_delay(BACKOFF.1)
            .set_number_of_retries(usize::MAX);
        let connection =
            ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(unsound)?;
        Ok(Self {
            address,
            client,
            connection,
            namespace: namespace.to_owned(),
            put: Script::new(PUT),
            remove: Script::new(REMOVE),
            allow: Script::new(ALLOW),
            away: Mutex::new(None),
        })
    }

    /// The name on the server of `key`, which is of the kind `kind`.
    fn key(&self, kind: char, key: &str) -> String {
        format!("{}:{kind}:{key}", self.namespace)
    }

    fn unavailable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::unavailable(format!("the cache at {}", self.address), source)
    }

    /// Whether to ask: while the server is away, only one in a [`PAUSE`] may try.
    fn may_ask(&self) -> bool {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if away.is_some_and(|until| now < until) {
            return false;
        }
        if away.is_some() {
            *away = Some(now + PAUSE);
        }
        true
    }

    fn set_away(&self, until: Option<Instant>) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// The answer to `question`, if it comes in time.
    async fn ask<T>(
        &self,
        operation: &'static str,
        question: impl Future<Output = RedisResult<T>>,
    ) -> Result<T> {
        if !self.may_ask() {
            return Err(self.unavailable("it did not answer a moment ago"));
        }
        let gone = || self.set_away(Some(Instant::now() + PAUSE));
        let span = tracing::info_span!("redis", operation, otel.kind = "client");
        match timeout(PATIENCE, question).instrument(span).await {
            Ok(Ok(answer)) => {
                self.set_away(None);
                Ok(answer)
            }
            Ok(Err(error)) => {
                if error.is_io_error() || error.is_unrecoverable_error() {
                    gone();
                }
                Err(self.unavailable(error))
            }
            Err(late) => {
                gone();
                Err(self.unavailable(late))
            }
        }
    }
}

/// In milliseconds, at least one, and not so many that the server would refuse them.
fn milliseconds(ttl: Duration) -> i64 {
    const LONGEST: i64 = i64::MAX / 2;
    i64::try_from(ttl.as_millis()).unwrap_or(LONGEST).clamp(1, LONGEST)
}

fn digits(version: u64) -> String {
    format!("{version:0DIGITS$}")
}

/// A version and its value; what is neither is nothing.
fn parted(held: Vec<u8>) -> Option<(u64, Bytes)> {
    let (digits, _) = held.split_at_checked(DIGITS)?;
    let version = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((version, Bytes::from(held).slice(DIGITS..)))
}

#[async_trait]
impl Cache for Redis {
    fn is_shared(&self) -> bool {
        true
    }

    async fn ping(&self) -> Result<()> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(PATIENCE));
        let asked = async {
            let mut fresh =
                self.client.get_multiplexed_async_connection_with_config(&config).await?;
            cmd("PING").exec_async(&mut fresh).await
        };
        asked.await.map_err(|error| self.unavailable(error))
    }

    async fn get(&self, key: &str) -> Result<Option<(u64, Bytes)>> {
        let mut connection = self.connection.clone();
        let get = cmd("GET").arg(self.key('v', key)).to_owned();
        let held: Option<Vec<u8>> = self.ask("get", get.query_async(&mut connection)).await?;
        Ok(held.and_then(parted))
    }

    async fn put(&self, key: &str, version: u64, value: Bytes, ttl: Duration) -> Result<()> {
        let mut connection = self.connection.clone();
        let mut call = self.put.key(self.key('v', key));
        call.arg(digits(version)).arg(&value[..]).arg(milliseconds(ttl));
        self.ask("put", call.invoke_async(&mut connection)).await
    }

    async fn remove(&self, key: &str, version: u64) -> Result<()> {
        let mut connection = self.connection.clone();
        let mut call = self.remove.key(self.key('v', key));
        call.arg(digits(version));
        self.ask("remove", call.invoke_async(&mut connection)).await
    }

    async fn increment(&self, key: &str, by: i64, ttl: Duration) -> Result<i64> {
        let mut connection = self.connection.clone();
        let key = self.key('c', key);
        let mut both = pipe();
        both.atomic()
            .cmd("SET")
            .arg(&[&key, "0", "NX", "PX"])
            .arg(milliseconds(ttl))
            .ignore()
            .cmd("INCRBY")
            .arg(&key)
            .arg(by);
        let added = self.ask("increment", async {
            match both.query_async::<(i64,)>(&mut connection).await {
                Ok((value,)) => Ok(Some(value)),
                Err(error) if error.to_string().contains("overflow") => Ok(None),
                Err(error) => Err(error),
            }
        });
        let overflow = || Error::invalid("counter", "would leave the range of 64 bits");
        added.await?.ok_or_else(overflow)
    }

    async fn allow(&self, key: &str, limit: u32, window: Duration) -> Result<Allowance> {
        let mut connection = self.connection.clone();
        let mut call = self.allow.key(self.key('w', key));
        call.arg(limit).arg(milliseconds(window));
        let rest: i64 = self.ask("allow", call.invoke_async(&mut connection)).await?;
        Ok(match u64::try_from(rest) {
            Ok(rest) => Allowance { allowed: false, retry_after: Duration::from_millis(rest) },
            Err(_) => Allowance { allowed: true, retry_after: Duration::ZERO },
        })
    }

    async fn publish(&self, topic: &str, message: Bytes) -> Result<()> {
        let mut connection = self.connection.clone();
        let mut publish = cmd("PUBLISH");
        publish.arg(self.key('t', topic)).arg(&message[..]);
        self.ask("publish", publish.exec_async(&mut connection)).await
    }

    async fn subscribe(&self, topic: &str) -> Result<mpsc::Receiver<Bytes>> {
        let begun = async {
            let mut subscription = self.client.get_async_pubsub().await?;
            subscription.subscribe(self.key('t', topic)).await?;
            Ok::<_, RedisError>(subscription)
        };
        let subscription = timeout(CONNECT_TIMEOUT, begun)
            .await
            .map_err(|late| self.unavailable(late))?
            .map_err(|error| self.unavailable(error))?;
        let (subscriber, messages) = mpsc::channel(BACKLOG);
        tokio::spawn(forward(subscription, subscriber));
        Ok(messages)
    }
}

/// Passes messages on until the server or the subscriber is gone or the subscriber falls behind.
async fn forward(subscription: PubSub, subscriber: mpsc::Sender<Bytes>) {
    let (mut sink, mut messages) = subscription.split();
    let mut pulse = interval(PULSE);
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return };
                let payload = Bytes::copy_from_slice(message.get_payload_bytes());
                if subscriber.try_send(payload).is_err() {
                    return;
                }
            }
            _ = pulse.tick() => {
                if !matches!(timeout(PULSE, sink.ping::<Value>()).await, Ok(Ok(_))) {
                    return;
                }
            }
            () = subscriber.closed() => return,
        }
    }
}
