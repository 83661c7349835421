//! From listening sockets to served connections, until told to stop.

use std::{future::poll_fn, net::SocketAddr, sync::Arc, task::Poll, time::Duration};

use arc_swap::ArcSwap;
use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    task::JoinSet,
    time,
};

use super::{
    address::Shares,
    connection::{self, Connection},
};
use crate::config::Config;

/// Pause after the kernel refused a connection, for want of descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves every connection to its listeners.
pub(crate) struct Server {
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) router: Router,
    pub(crate) config: Arc<ArcSwap<Config>>,
    /// Each is answered once it has come through the loop.
    pub(crate) pings: mpsc::Receiver<oneshot::Sender<()>>,
}

impl Server {
    /// Serves until `stop` turns true, then lets the requests that run come to their end.
    /// Dropping the future cuts them off.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let slots = Semaphore::new(self.config.load().limits.connections as usize);
        let slots = Arc::new(slots);
        let shares = Arc::new(Shares::default());
        let mut connections = JoinSet::new();
        let stopped = stop.clone();
        loop {
            tokio::select! {
                (stream, peer, slot) = accept(&self.listeners, &slots) => {
                    let config = self.config.load_full();
                    let Some(share) = shares.take(peer.ip(), &config) else {
                        connection::refuse(&stream);
                        continue;
                    };
                    let connection = Connection {
                        peer,
                        router: self.router.clone(),
                        config,
                        stop: stopped.clone(),
                    };
                    connections.spawn(connection.serve(stream, (slot, share)));
                }
                Some(_) = connections.join_next() => {}
                Some(ping) = self.pings.recv() => drop(ping.send(())),
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        drop(self.listeners);
        while !connections.is_empty() {
            tokio::select! {
                _ = connections.join_next() => {}
                Some(ping) = self.pings.recv() => drop(ping.send(())),
            }
        }
    }
}

/// The next connection, once there is a free slot for it.
async fn accept(
    listeners: &[TcpListener],
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        let next = poll_fn(|context| {
            listeners
                .iter()
                .map(|listener| listener.poll_accept(context))
                .find(Poll::is_ready)
                .unwrap_or(Poll::Pending)
        });
        match next.await {
            Ok((stream, peer)) => return (stream, peer, slot),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
