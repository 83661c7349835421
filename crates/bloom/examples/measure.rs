//! Prints what a model costs here: `measure MODEL_DIR < questions`, one question a line.
//!
//! Loading, one question at a time and in bulk, each on one thread, in processor time and as it
//! passes, and the memory that is resident afterwards (Linux).

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

    let (half, rest) = texts.split_at(texts.len() / 2);
    let start = processor_time();
    let mut single: Vec<Duration> =
        half.iter().map(|text| timed(|| engine.classify(&[text])).1).collect();
    let each = (processor_time() - start) / half.len() as u32;
    single.sort();
    println!("one at a time: {each:.1?} of processor time, median {:.1?}", single[half.len() / 2]);

    let start = processor_time();
    let (_, bulk) = timed(|| rest.chunks(BULK).for_each(|chunk| drop(engine.classify(chunk))));
    let count = rest.len() as f64;
    println!(
        "in bulk: {:.0} questions a second of processor time, {:.0} as it passed",
        count / (processor_time() - start).as_secs_f64(),
        count / bulk.as_secs_f64(),
    );

    let start = processor_time();
    rest.iter().rev().take(500).for_each(|text| drop(engine.classify(&[text])));
    let each = (processor_time() - start) / 500;
    println!("again: {each:.1?} each, resident {} MB", resident_megabytes());
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let outcome = work();
    (outcome, start.elapsed())
}

/// Time that this thread has spent on a processor.
fn processor_time() -> Duration {
    let status = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = status.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn resident_megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0) / 1024
}
