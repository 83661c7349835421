//! What fails around a serving process: nothing acknowledged is lost or counted twice, requests
//! are told when to come back, and all goes on by itself.

mod proxy;

use std::{
    fs,
    io::{ErrorKind, Write},
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use proxy::Proxy;

use crate::{
    learner::{Learner, Refusal},
    postgres::Postgres,
    process::{Server, clean},
};

const LEARNERS: usize = 12;
/// Time for undisturbed practice before and after.
const CALM: Duration = Duration::from_secs(2);
/// How soon after the end of an outage all is well again.
const RECOVERY: Duration = Duration::from_secs(5);
/// Length of an outage; `OUTAGE_SECONDS` in the environment asks for another.
const OUTAGE_SECONDS: u64 = 6;

fn outage() -> Duration {
    let seconds = std::env::var("OUTAGE_SECONDS").map(|seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds.unwrap_or(OUTAGE_SECONDS))
}

/// Learners who practise, each on a thread.
struct Load {
    stop: Arc<AtomicBool>,
    learners: Vec<JoinHandle<(Learner, Vec<Refusal>)>>,
}

impl Load {
    fn start(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let address = server.address;
        let practise = |_| {
            let mut learner = Learner::begin(address);
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut refusals = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    learner.answer_at_last(address, &mut refusals);
                }
                (learner, refusals)
            })
        };
        Self { learners: (0..LEARNERS).map(practise).collect(), stop }
    }

    /// Ends the practice. Every answer that was acknowledged is there once, and what was refused
    /// was refused between `from` and `until`, properly.
    fn check(self, server: &Server, from: Instant, until: Instant) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut refused = 0;
        for thread in self.learners {
            let (learner, refusals) = thread.join().unwrap();
            learner.agree(server.address);
            refused += refusals.len();
            for refusal in refusals {
                assert!(refusal.is_proper(), "{refusal:?}");
                assert!(
                    refusal.replied >= from && refusal.sent < until,
                    "{refusal:?} {:?} before the beginning, {:?} after the end of the outage",
                    from.saturating_duration_since(refusal.replied),
                    (refusal.sent + RECOVERY).saturating_duration_since(until),
                );
            }
        }
        refused
    }
}

#[test]
fn postgres_restarted() {
    let postgres = Postgres::start();
    let server = Server::start(&[("QUIZMENTOR__RECORDS__URL", &postgres.url())]);
    let load = Load::start(&server);
    thread::sleep(CALM);
    let from = Instant::now();
    for _ in 0..2 {
        postgres.stop();
        postgres.resume();
        thread::sleep(CALM);
    }
    let until = Instant::now() + RECOVERY;
    thread::sleep(RECOVERY + CALM);
    load.check(&server, from, until);
}

#[test]
fn postgres_stopped_for_a_while() {
    let postgres = Postgres::start();
    let server = Server::start(&[("QUIZMENTOR__RECORDS__URL", &postgres.url())]);
    let load = Load::start(&server);
    thread::sleep(CALM);
    let from = Instant::now();
    postgres.stop();
    thread::sleep(outage());
    postgres.resume();
    let until = Instant::now() + RECOVERY;
    thread::sleep(RECOVERY + CALM);
    assert!(load.check(&server, from, until) > 0, "the outage went unnoticed");
}

#[test]
fn connections_to_postgres_cut_at_any_point() {
    let postgres = Postgres::start();
    let proxy = Proxy::start(postgres.port);
    let server = Server::start(&[("QUIZMENTOR__RECORDS__URL", &postgres.url_by(proxy.port))]);
    let load = Load::start(&server);
    thread::sleep(CALM);
    let from = Instant::now();
    proxy.cut(true);
    thread::sleep(outage());
    proxy.cut(false);
    let until = Instant::now() + RECOVERY;
    thread::sleep(RECOVERY + CALM);
    load.check(&server, from, until);
    assert!(proxy.cuts() > 10, "{} cuts", proxy.cuts());
}

/// The data directory is a small file system that only the process sees.
#[test]
fn the_disk_of_sqlite_full() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let mut command = clean(Command::new("unshare"));
    let script = "mount -t tmpfs -o size=24m,mode=700 tmpfs \"$1\" && \
                  exec \"$0\" serve --listen 127.0.0.1:0 --data-dir \"$1\"";
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.args([env!("CARGO_BIN_EXE_quizmentor"), data]);
    let server = Server::start_as(command, &[]);
    let filler = PathBuf::from(format!("/proc/{}/root{data}/filler", server.id()));

    let load = Load::start(&server);
    thread::sleep(CALM);
    let from = Instant::now();
    let mut file = fs::File::create(&filler).unwrap();
    let full = loop {
        match file.write_all(&[0; 4096]) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    thread::sleep(outage());
    fs::remove_file(&filler).unwrap();
    drop(file);
    let until = Instant::now() + RECOVERY;
    thread::sleep(RECOVERY + CALM);
    assert!(load.check(&server, from, until) > 0, "the disk was not full");
}
