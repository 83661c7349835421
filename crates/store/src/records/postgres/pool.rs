//! Connections to PostgreSQL, and what becomes of one when its work fails or is given up.

use std::{num::NonZeroUsize, sync::Arc, thread, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgDatabaseError, PgPoolOptions},
};
use tokio::{
    runtime::Handle,
    select,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
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
pub(super) struct Pool {
    connections: PgPool,
    /// Whoever holds one finds an idle connection, room for a new one, or one that comes back.
    places: Arc<Semaphore>,
}

impl Pool {
    /// `size` of 0 is chosen by the number of processors.
    pub(super) fn new(options: &PgConnectOptions, size: u32) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let chosen = u32::try_from(PER_PROCESSOR * processors + 2).unwrap_or(u32::MAX);
        let size = if size == 0 { chosen } else { size };
        let pool = PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false);
        Self {
            connections: pool.connect_lazy_with(options.clone().options(SESSION)),
            places: Arc::new(Semaphore::new(size as usize)),
        }
    }

    /// A connection, which may have been cut since it was used last.
    pub(super) async fn lease(&self) -> Result<Lease> {
        Ok(timeout(ACQUIRE, self.acquire()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?)
    }

    /// A connection that lives.
    pub(super) async fn fresh(&self) -> Result<Lease> {
        loop {
            let mut lease = self.lease().await?;
            if let Ok(Ok(())) = timeout(PING, lease.connection().ping()).await {
                return Ok(lease);
            }
        }
    }

    async fn acquire(&self) -> sqlx::Result<Lease> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| sqlx::Error::PoolClosed)?;
        let connection = match self.connections.try_acquire() {
            Some(idle) => idle,
            None if self.connections.size() < self.connections.options().get_max_connections() => {
                self.open().await?
            }
            None => self.connections.acquire().await?,
        };
        Ok(Lease { connection: Some(connection), _place: place })
    }

    /// A new connection, opened on a thread of its own for as long as the caller waits: deriving the
    /// key from the password yields to all other tasks of its runtime some 800 times, which takes
    /// seconds in a busy process.
    async fn open(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        let (connections, runtime) = (self.connections.clone(), Handle::current());
        let (mut caller, opened) = oneshot::channel();
        spawn_blocking(move || {
            runtime.block_on(async {
                select! {
                    connection = connections.acquire() => drop(caller.send(connection)),
                    () = caller.closed() => {}
                }
            });
        });
        opened.await.unwrap_or(Err(sqlx::Error::PoolClosed))
    }

    pub(super) async fn close(&self) {
        self.places.close();
        self.connections.close().await;
    }
}

/// A connection that goes back to the pool if its work ends well. Else it is closed, and the
/// server gives up what it still does.
pub(super) struct Lease {
    connection: Option<PoolConnection<Postgres>>,
    /// Given up after the connection.
    _place: OwnedSemaphorePermit,
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
