//! A proxy that cuts connections at any point.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use rand::RngExt;

/// A connection is cut after at most so many bytes in one direction: in the middle of a request,
/// of a reply, or between the two.
const BYTES: usize = 20_000;

/// Passes connections on to a server on this machine, for as long as the test runs.
pub(super) struct Proxy {
    pub(super) port: u16,
    cutting: Arc<AtomicBool>,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    /// Begins to pass on to `server`, a port.
    pub(super) fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cutting, cuts) = (Arc::default(), Arc::default());
        let proxy = Self { port, cutting: Arc::clone(&cutting), cuts: Arc::clone(&cuts) };
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (cutting, cuts) = (Arc::clone(&cutting), Arc::clone(&cuts));
                    thread::spawn(move || pass(from, to, &cutting, &cuts));
                }
            }
        });
        proxy
    }

    /// Begins or ceases to cut connections.
    pub(super) fn cut(&self, cutting: bool) {
        self.cutting.store(cutting, Ordering::Relaxed);
    }

    /// How many were cut.
    pub(super) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, cutting: &AtomicBool, cuts: &AtomicUsize) {
    let mut left = rand::rng().random_range(1..BYTES);
    let mut buffer = [0; 16 * 1024];
    let mut step = || -> io::Result<bool> {
        let length = from.read(&mut buffer)?;
        if cutting.load(Ordering::Relaxed) {
            if length >= left {
                to.write_all(&buffer[..left])?;
                cuts.fetch_add(1, Ordering::Relaxed);
                return Ok(false);
            }
            left -= length;
        }
        to.write_all(&buffer[..length])?;
        Ok(length > 0)
    };
    while matches!(step(), Ok(true)) {}
    for stream in [&from, &to] {
        // The other direction may have ended it already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}
