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
    redis::Redis,
};

const LEARNERS: usize = 12;
/// How soon after an answer to one process another shows it.
const NEWS: Duration = Duration::from_secs(1);
/// Time for undisturbed practice before and after.
const CALM: Duration = Duration::from_secs(2);
/// How soon after the end of an outage all is well again.
const RECOVERY: Duration = Duration::from_secs(5);
/// Length of an outage; `OUTAGE_SECONDS` in the environment asks for another.
const OUTAGE_SECONDS: u64 = 6;
/// A learner's answers in the time of an outage, at most: a session must outlast two of them.
const ANSWERS_AN_OUTAGE: u32 = 150;

fn outage() -> Duration {
    let seconds = std::env::var("OUTAGE_SECONDS").map(|seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds.unwrap_or(OUTAGE_SECONDS))
}

/// Learners who practise, each on a thread.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    learners: Vec<JoinHandle<(Learner, Vec<Refusal>)>>,
}

impl Load {
    fn start(server: &Server) -> Self {
        Self::start_on(&[server])
    }

    /// Each answer goes to the next one of `servers`.
    pub(crate) fn start_on(servers: &[&Server]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
        let practise = |_| {
            let mut learner = Learner::begin(addresses[0]);
            let (stop, addresses) = (Arc::clone(&stop), addresses.clone());
            thread::spawn(move || {
                let mut refusals = Vec::new();
                for address in addresses.iter().cycle() {
                    learner.answer_at_last(*address, &mut refusals);
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    thread::sleep(outage() / ANSWERS_AN_OUTAGE);
                }
                (learner, refusals)
            })
        };
        Self { learners: (0..LEARNERS).map(practise).collect(), stop }
    }

    /// Ends the practice. Every answer that was acknowledged is there once; what was refused.
    pub(crate) fn end(self, server: &Server) -> Vec<Refusal> {
        self.stop.store(true, Ordering::Relaxed);
        let ended: Vec<_> = self.learners.into_iter().map(JoinHandle::join).collect();
        thread::sleep(NEWS);
        let mut refused = Vec::new();
        for practised in ended {
            let (learner, refusals) = practised.unwrap();
            learner.agree(server.address);
            refused.extend(refusals);
        }
        refused
    }

    /// Ends the practice as [`end`](Self::end) does; what was refused was refused between `from`
    /// and `until`, properly.
    fn check(self, server: &Server, from: Instant, until: Instant) -> usize {
        let refused = self.end(server);
        for refusal in &refused {
            assert!(refusal.is_proper(), "{refusal:?}");
            assert!(
                refusal.replied >= from && refusal.sent < until,
                "{refusal:?} {:?} before the beginning, {:?} after the end of the outage",
                from.saturating_duration_since(refusal.replied),
                (refusal.sent + RECOVERY).saturating_duration_since(until),
            );
        }
        refused.len()
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

/// Two processes take the answers of each learner in turn, so each has to do with what the other
/// keeps. Nothing is refused, whatever becomes of the cache, and it is used again by itself.
#[test]
fn redis_killed_paused_and_emptied() {
    let (postgres, mut redis) = (Postgres::start(), Redis::start());
    let [first, second] = Server::start_two(&postgres, &redis, &[]);
    let load = Load::start_on(&[&first, &second]);
    thread::sleep(CALM);
    assert!(keeps_states(&redis), "the cache is used");

    redis.kill();
    thread::sleep(outage() / 2);
    redis.restart();
    await_recovery(&redis);
    redis.pause();
    thread::sleep(outage());
    redis.resume();
    await_recovery(&redis);
    for _ in 0..5 {
        redis.empty();
        thread::sleep(CALM / 8);
    }
    await_recovery(&redis);
    let refused = load.end(&second);
    assert!(refused.is_empty(), "{refused:?}");
}

/// Fails unless states that are new come into the cache soon enough.
fn await_recovery(redis: &Redis) {
    let until = Instant::now() + RECOVERY;
    redis.empty();
    while !keeps_states(redis) {
        assert!(Instant::now() < until, "the cache was not used again in time");
        thread::sleep(Duration::from_millis(50));
    }
}

fn keeps_states(redis: &Redis) -> bool {
    redis.content().keys().any(|key| key.contains(":state:"))
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
