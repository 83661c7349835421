//! Connections to PostgreSQL, and what becomes of one when its work fails or is given up.

use std::{num::NonZeroUsize, thread, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgDatabaseError, PgPoolOptions},
};
use tokio::{
    runtime::Handle,
    task::spawn_blocking,
    time::{error::Elapsed, timeout},
};

use crate::{Error, Result};

/// How long to wait for a connection, while the server starts or the machine stalls.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Longest time that a connection may take to show that it lives.
const PING: Duration = Duration::from_secs(1);
/// What the server bounds in each session. It ends statements whose client has gone.
const SESSION: [(&str, &str); 4] = [
    ("statement_timeout", "5s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("client_connection_check_interval", "250ms"),
];
/// Connections that wait for the network or the disk while others keep a processor busy.
const PER_PROCESSOR: usize = 4;

/// A bounded number of connections, opened as they are needed.
#[derive(Debug, Clone)]
pub(super) struct Pool(PgPool);

impl Pool {
    /// `size` of 0 is chosen by the number of processors.
    pub(super) fn new(options: &PgConnectOptions, size: u32) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let chosen = u32::try_from(PER_PROCESSOR * processors + 2).unwrap_or(u32::MAX);
        let pool = PgPoolOptions::new()
            .max_connections(if size == 0 { chosen } else { size })
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false);
        Self(pool.connect_lazy_with(options.clone().options(SESSION)))
    }

    /// A connection, which may have been cut since it was used last.
    pub(super) async fn lease(&self) -> Result<Lease> {
        Ok(Lease { connection: Some(self.acquire().await?) })
    }

    /// A connection that lives.
    pub(super) async fn fresh(&self) -> Result<Lease> {
        loop {
            let mut connection = self.acquire().await?;
            match timeout(PING, connection.ping()).await {
                Ok(Ok(())) => return Ok(Lease { connection: Some(connection) }),
                // Its place in the pool is free for another.
                _ => drop(connection.detach()),
            }
        }
    }

    /// An idle connection, else a new one or the next that comes back.
    ///
    /// One is opened on a thread of its own: the derivation of the key from the password lets all
    /// other tasks of its runtime go first, hundreds of times, which takes seconds in a busy process.
    async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        if let Some(idle) = self.0.try_acquire() {
            return Ok(idle);
        }
        if self.0.size() >= self.0.options().get_max_connections() {
            return Ok(self.0.acquire().await?);
        }
        let (pool, runtime) = (self.0.clone(), Handle::current());
        let opening = spawn_blocking(move || runtime.block_on(pool.acquire()));
        Ok(opening.await.map_err(|e| Error::unavailable("the database", e))??)
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }
}

/// A connection that goes back to the pool if its work ends well. Else it is closed, and the
/// server gives up what it still does.
pub(super) struct Lease {
    connection: Option<PoolConnection<Postgres>>,
}

impl Lease {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("is there until the work has ended")
    }

    /// Ends the work with its outcome.
    pub(super) fn end<T>(mut self, outcome: Result<Result<T>, Elapsed>) -> Result<T> {
        let outcome = outcome.unwrap_or_else(|e| Err(Error::unavailable("the database", e)));
        if !outcome.as_ref().is_err_and(is_lost) {
            // Back to the pool.
            drop(self.connection.take());
        }
        outcome
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

/// Whether the connection was lost, so that another may do better.
pub(super) fn is_lost(error: &Error) -> bool {
    let Error::Unavailable { source, .. } = error else { return false };
    if source.is::<Elapsed>() {
        return true;
    }
    match source.downcast_ref::<sqlx::Error>() {
        Some(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_)) => true,
        Some(sqlx::Error::Database(database)) => database
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|error| is_farewell(error.code())),
        _ => false,
    }
}

/// Whether a server says this as it closes the connection: classes 08 and 57P,
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn is_farewell(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P") || code == "25P03"
}

/// Whether another transaction came in between, so that the same one tried again finds out: a
/// deadlock, or a row changed between being read and being written.
pub(super) fn is_overtaken(error: &Error) -> bool {
    const OVERTAKEN: [&str; 4] = ["40001", "40P01", "23505", "23503"];
    let Error::Unavailable { source, .. } = error else { return false };
    let Some(sqlx::Error::Database(database)) = source.downcast_ref::<sqlx::Error>() else {
        return false;
    };
    database
        .try_downcast_ref::<PgDatabaseError>()
        .is_some_and(|error| OVERTAKEN.contains(&error.code()))
}
