//! `quizmentor classify`: the Bloom level of each line of standard input.

use std::{
    io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write},
    path::PathBuf,
};

use anyhow::Context;
use clap::Args;
use quizmentor_bloom::Classification;
use quizmentor_core::limits;
use serde::Serialize;

use super::{bloom_engine, counter};

/// Lines classified at a time.
const CHUNK: usize = 256;

#[derive(Debug, Args)]
pub(crate) struct Classify {
    /// Print one JSON object a line instead of columns
    #[arg(long)]
    json: bool,
    /// Where the trained models are [default: as for serve]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

/// What is said of a line.
#[derive(Serialize)]
struct Line<'a> {
    text: &'a str,
    model: &'a str,
    level: &'static str,
    #[serde(flatten)]
    classification: &'a Classification,
}

pub(crate) fn run(arguments: &Classify) -> anyhow::Result<()> {
    let engine = bloom_engine(arguments.models.as_ref())?;
    let stdin = io::stdin();
    if stdin.is_terminal() {
        eprintln!("Type questions or learning objectives, one a line; end with Ctrl-D.");
    }
    let mut lines = Lines(BufReader::new(stdin.lock()));
    let mut out = BufWriter::new(io::stdout().lock());
    let progress = counter("lines");
    loop {
        let chunk = lines.chunk().context("cannot read standard input")?;
        if chunk.is_empty() {
            break;
        }
        let texts: Vec<_> = chunk.iter().map(String::as_str).collect();
        for (text, classification) in texts.iter().zip(engine.classify(&texts)) {
            if arguments.json {
                let level = classification.top.name();
                let model = engine.version();
                let line = Line { text, model, level, classification: &classification };
                serde_json::to_writer(&mut out, &line)?;
                writeln!(out)?;
            } else {
                write_row(&mut out, engine.version(), text, &classification)?;
            }
        }
        out.flush()?;
        progress.inc(chunk.len() as u64);
    }
    progress.finish_and_clear();
    Ok(())
}

/// Level, probabilities from remember to create, model, text.
fn write_row(
    out: &mut impl Write,
    model: &str,
    text: &str,
    classification: &Classification,
) -> io::Result<()> {
    write!(out, "{:<10}", classification.top.name())?;
    for probability in classification.probabilities.to_array() {
        write!(out, " {probability:.3}")?;
    }
    writeln!(out, "  {model}  {text}")
}

/// Lines of any bytes: what is no UTF-8 is replaced, what is longer than can be classified is cut.
struct Lines<R>(BufReader<R>);

impl<R: Read> Lines<R> {
    fn chunk(&mut self) -> io::Result<Vec<String>> {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK {
            let Some(line) = self.next()? else { break };
            chunk.push(line);
        }
        Ok(chunk)
    }

    /// `None` at the end. A line's memory is bounded, however long it is.
    fn next(&mut self) -> io::Result<Option<String>> {
        const KEPT: usize = limits::CLASSIFY_TEXT + 1;
        let mut line = Vec::new();
        let mut read = false;
        loop {
            let available = self.0.fill_buf()?;
            if available.is_empty() {
                break;
            }
            read = true;
            let end = available.iter().position(|&byte| byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            line.extend_from_slice(&part[..part.len().min(KEPT - line.len())]);
            let used = end.map_or(available.len(), |at| at + 1);
            self.0.consume(used);
            if end.is_some() {
                break;
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(read.then(|| String::from_utf8_lossy(&line).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        Lines(BufReader::with_capacity(7, bytes)).chunk().unwrap()
    }

    #[test]
    fn lines_of_any_bytes_are_read() {
        assert_eq!(lines(b""), [""; 0]);
        assert_eq!(lines(b"one\r\n\nthree"), ["one", "", "three"]);
        assert_eq!(lines(b"b\xffd\n"), ["b\u{fffd}d"]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let long = [vec![b'x'; 50_000], b"\nnext".to_vec()].concat();
        let read = lines(&long);
        assert_eq!(read[0].len(), limits::CLASSIFY_TEXT + 1);
        assert_eq!(read[1], "next");
    }
}
