//! Prints what a model costs here: `measure MODEL_DIR < questions`, one question a line.
//!
//! Loading, one question at a time and in bulk, each on one thread at a time, and the memory that
//! is resident afterwards (Linux).

use std::{
    env, fs,
    io::{self, BufRead},
    path::PathBuf,
    time::{Duration, Instant},
};

use quizmentor_bloom::{Engine, Error};

const BULK: usize = 256;

fn main() -> Result<(), Error> {
    let dir = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "models/bloom".into()));
    let mut texts: Vec<String> = io::stdin().lock().lines().map_while(Result::ok).collect();
    texts.sort();
    texts.dedup();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let (engine, load) = timed(|| Engine::load(&dir));
    let engine = engine?;
    let (_, first) = timed(|| engine.classify(&["Why does ice float?"]));
    println!("load {load:.1?}, first answer {first:.1?}, resident {} MB", resident_megabytes());

    let half = texts.len() / 2;
    let mut single: Vec<Duration> =
        texts[..half].iter().map(|text| timed(|| engine.classify(&[text])).1).collect();
    single.sort();
    println!("one at a time: median {:.2?} of {}", single[half / 2], half);

    let rest = &texts[half..];
    let (_, bulk) = timed(|| rest.chunks(BULK).for_each(|chunk| drop(engine.classify(chunk))));
    println!(
        "in bulk: {:.0} questions/s of {}",
        rest.len() as f64 / bulk.as_secs_f64(),
        rest.len()
    );

    let (_, cached) =
        timed(|| rest.iter().rev().take(500).for_each(|text| drop(engine.classify(&[text]))));
    println!("again: {:.1?} each, resident {} MB", cached / 500, resident_megabytes());
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let outcome = work();
    (outcome, start.elapsed())
}

fn resident_megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0) / 1024
}
