//! An acknowledged answer survives a kill at any moment, and counts once.

use std::{sync::mpsc, thread, time::Duration};

use rand::RngExt;

use crate::{learner::Learner, postgres::Postgres, process::Server};

/// Kills in a run of all tests; `CRASH_ROUNDS` in the environment asks for more.
const ROUNDS: u32 = 10;
const LEARNERS: usize = 4;
/// Answers acknowledged before a kill, at most …
const ANSWERS: usize = 60;
/// … and what passes after the last of them, so that the kill hits any part of a request.
const DELAY_MICROS: u64 = 5_000;
/// After so many answers another learner takes a learner's place: the bank has 422 questions.
const STINT: usize = 300;

#[test]
fn acknowledged_answers_survive_kills_and_count_once() {
    let dir = tempfile::tempdir().unwrap();
    survive_kills(&[("QUIZMENTOR__SERVER__DATA_DIR", dir.path().to_str().unwrap())]);
}

#[test]
fn acknowledged_answers_in_postgres_survive_kills_and_count_once() {
    let postgres = Postgres::start();
    let dir = tempfile::tempdir().unwrap();
    survive_kills(&[
        ("QUIZMENTOR__SERVER__DATA_DIR", dir.path().to_str().unwrap()),
        ("QUIZMENTOR__RECORDS__URL", &postgres.url()),
    ]);
}

fn survive_kills(settings: &[(&str, &str)]) {
    let rounds = match std::env::var("CRASH_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("CRASH_ROUNDS is a number"),
        Err(_) => ROUNDS,
    };
    let start = || Server::start(settings);
    let mut server = start();
    let mut learners: Vec<_> = (0..LEARNERS).map(|_| Learner::begin(server.address)).collect();
    let mut retired = Vec::new();
    for _ in 0..rounds {
        learners = practise_until_killed(server, learners);
        server = start();
        for learner in &mut learners {
            learner.check(server.address);
            if learner.acknowledged.len() > STINT {
                retired.push(std::mem::replace(learner, Learner::begin(server.address)));
            }
        }
    }
    for learner in retired {
        learner.agree(server.address);
    }
}

fn practise_until_killed(server: Server, learners: Vec<Learner>) -> Vec<Learner> {
    let address = server.address;
    let (sender, acknowledgements) = mpsc::channel();
    let practise = |mut learner: Learner| {
        let sender = sender.clone();
        thread::spawn(move || {
            learner.practise(address, &sender);
            learner
        })
    };
    let threads: Vec<_> = learners.into_iter().map(practise).collect();
    drop(sender);
    let mut rng = rand::rng();
    acknowledgements.iter().take(rng.random_range(0..=ANSWERS)).for_each(drop);
    thread::sleep(Duration::from_micros(rng.random_range(0..=DELAY_MICROS)));
    drop(server); // SIGKILL
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}
