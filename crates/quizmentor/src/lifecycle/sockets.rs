//! Listening sockets: inherited from the service manager, else our own.

use std::net::{self, SocketAddr};

use anyhow::Context;
use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel holds for us until they are accepted.
const BACKLOG: u32 = 1024;

/// Takes the sockets that the service manager passed (`$LISTEN_FDS`). To be called before any
/// thread is started, since it removes the variables from the environment.
///
/// # Errors
///
/// When one of them is no TCP socket.
pub(crate) fn inherit() -> anyhow::Result<Vec<net::TcpListener>> {
    let mut passed = ListenFd::from_env();
    (0..passed.len())
        .filter_map(|index| passed.take_tcp_listener(index).transpose())
        .map(|listener| listener.context("an inherited socket cannot be listened on"))
        .collect()
}

/// The inherited sockets made ready, or a new one on `address` if there are none.
///
/// # Errors
///
/// When the address is taken or not ours to take.
pub(crate) fn listen(
    inherited: Vec<net::TcpListener>,
    address: SocketAddr,
) -> anyhow::Result<Vec<TcpListener>> {
    if inherited.is_empty() {
        let listener = bind(address).with_context(|| format!("cannot listen on {address}"))?;
        return Ok(vec![listener]);
    }
    inherited
        .into_iter()
        .map(|listener| {
            listener.set_nonblocking(true)?;
            Ok(TcpListener::from_std(listener)?)
        })
        .collect()
}

/// A socket on `address` that a restarted process can take over at once.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
