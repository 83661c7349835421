//! Measures the engine: `evaluate adaptive LOG [TRAIN]` or `evaluate cat BANK THETAS [CAP]`.

use std::{fs::File, time::Instant};

use quizmentor_adaptive::evaluate::{BadRows, adaptive, cat, unpacked};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let open = |path: &String| Ok::<_, Box<dyn std::error::Error>>(unpacked(File::open(path)?)?);
    let start = Instant::now();
    let elapsed = || start.elapsed();
    let report = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["adaptive", ..] if arguments.len() > 1 => {
            let train = arguments.get(2).map(open).transpose()?;
            serde_json::to_string(&adaptive(open(&arguments[1])?, train, BadRows::Refuse, elapsed)?)
        }
        ["cat", ..] if arguments.len() > 2 => {
            let cap = arguments.get(3).map(|cap| cap.parse()).transpose()?;
            let (bank, thetas) = (open(&arguments[1])?, open(&arguments[2])?);
            serde_json::to_string(&cat(bank, thetas, cap, elapsed)?)
        }
        _ => return Err("usage: adaptive LOG [TRAIN] | cat BANK THETAS [CAP]".into()),
    }?;
    println!("{report}");
    Ok(())
}
