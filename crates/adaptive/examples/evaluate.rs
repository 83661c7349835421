//! Measures the learner model on a response log: `evaluate FILE [TRAIN]`.

use std::{fs::File, time::Instant};

use quizmentor_adaptive::evaluate::{BadRows, adaptive, unpacked};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = std::env::args().skip(1);
    let log = unpacked(File::open(files.next().ok_or("which file?")?)?)?;
    let train = files.next().map(File::open).transpose()?.map(unpacked).transpose()?;
    let start = Instant::now();
    let report = adaptive(log, train, BadRows::Refuse, || start.elapsed())?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
