//! Prints what a model costs here, as one JSON object: `measure MODEL_DIR < questions`, one
//! question a line.
//!
//! The first half is classified one by one, the second in bulk, on one thread, in the processor's
//! time (Linux); then some are asked again. `tops` are the most probable levels, in order.

use std::{
    env, fs,
    io::{self, BufRead},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use quizmentor_bloom::{Classification, Engine, Error};
use serde_json::json;

const BULK: usize = 256;
/// Questions that are asked again.
const AGAIN: usize = 500;

fn main() -> Result<(), Error> {
    let dir = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "models/bloom".into()));
    let texts: Vec<String> = io::stdin().lock().lines().map_while(Result::ok).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (half, rest) = texts.split_at(texts.len() / 2);

    let start = Instant::now();
    let engine = Engine::load(&dir)?;
    let load = start.elapsed();
    drop(engine.classify(&["Why does ice float?"]));
    let first = start.elapsed();
    let loaded = resident_megabytes();

    let mut found = Vec::new();
    let single = processor_time(|| {
        half.iter().for_each(|text| found.extend(engine.classify(&[text])));
    });
    let bulk = processor_time(|| {
        rest.chunks(BULK).for_each(|chunk| found.extend(engine.classify(chunk)));
    });
    let last = &rest[rest.len().saturating_sub(AGAIN)..];
    let again = processor_time(|| last.iter().for_each(|text| drop(engine.classify(&[text]))));

    let report = json!({
        "load_ms": milliseconds(load),
        "first_answer_ms": milliseconds(first),
        "single_us": microseconds_each(single, half.len()),
        "bulk_per_s": rest.len() as f64 / bulk.as_secs_f64(),
        "again_us": microseconds_each(again, last.len()),
        "resident_loaded_mb": loaded,
        "resident_mb": resident_megabytes(),
        "tops": found.iter().map(|Classification { top, .. }| top.name()).collect::<Vec<_>>(),
    });
    println!("{report}");
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn microseconds_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}

/// Time that this thread spends on a processor for some work.
fn processor_time(work: impl FnOnce()) -> Duration {
    let start = spent();
    work();
    spent() - start
}

fn spent() -> Duration {
    // The kernel brings the figure up to date when the thread gives way.
    thread::yield_now();
    let status = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = status.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn resident_megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0) / 1024
}
