//! `quizmentor classify`: the Bloom level of each row of files or of standard input. Rows are read,
//! classified on all processors and written in bounded pieces, in order.

mod input;
mod output;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, IsTerminal, Read, Write},
    num::NonZero,
    path::PathBuf,
    thread,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use quizmentor_bloom::{Arithmetic, Classification, Engine};

use self::{
    input::{Row, Rows},
    output::Output,
};
use super::{bloom_engine, counter};

/// Rows that a processor classifies at a time.
const CHUNK: usize = 256;
/// No more rows are read at a time once they hold as many bytes.
const PIECE: usize = 8 * 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Classify {
    /// Files to read [default: standard input]
    files: Vec<PathBuf>,
    /// What the files hold [default: by their extension, else lines]
    #[arg(long, value_name = "KIND")]
    from: Option<Kind>,
    /// What to print [default: as the first file, columns for lines]
    #[arg(long, value_name = "KIND")]
    to: Option<Kind>,
    /// The same as --to jsonl
    #[arg(long, conflicts_with = "to")]
    json: bool,
    /// Field or column with the text, in JSONL and CSV
    #[arg(long, value_name = "NAME", default_value = "text")]
    field: String,
    /// Fields or columns to copy to the output, in JSONL and CSV; repeat or separate by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = name)]
    keep: Vec<String>,
    /// Where the trained models are [default: as for serve]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

/// Kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One text a line
    Lines,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}

fn name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() { Err("a field has a name") } else { Ok(name.to_owned()) }
}

impl Classify {
    fn kind(&self, file: Option<&PathBuf>) -> Kind {
        let extension = file.and_then(|file| file.extension()).and_then(|name| name.to_str());
        let by_name = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("jsonl" | "ndjson") => Kind::Jsonl,
            Some("csv") => Kind::Csv,
            _ => Kind::Lines,
        };
        self.from.unwrap_or(by_name)
    }

    fn output(&self) -> Kind {
        let to = if self.json { Some(Kind::Jsonl) } else { self.to };
        to.unwrap_or_else(|| self.kind(self.files.first()))
    }

    fn rows<R: Read>(&self, file: Option<&PathBuf>, reader: R) -> anyhow::Result<Rows<R>> {
        Rows::new(self.kind(file), &self.field, &self.keep, BufReader::new(reader))
    }
}

pub(crate) fn run(arguments: &Classify) -> anyhow::Result<()> {
    let engine = bloom_engine(arguments.models.as_ref(), Arithmetic::Int8)?;
    let mut output = Output::new(
        arguments.output(),
        engine.version(),
        &arguments.keep,
        BufWriter::new(io::stdout().lock()),
    )?;
    let mut bad = 0;
    if arguments.files.is_empty() {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            eprintln!("Type questions or learning objectives, one a line; end with Ctrl-D.");
        }
        let progress = counter("rows");
        let rows = arguments.rows(None, stdin.lock()).context("standard input")?;
        bad += classify(&engine, rows, &mut output, |rows| progress.inc(rows))
            .context("standard input")?;
        progress.finish_and_clear();
    } else {
        let progress = bytes_bar(&arguments.files)?;
        for path in &arguments.files {
            let name = || path.display().to_string();
            let file = progress.wrap_read(File::open(path).with_context(name)?);
            let rows = arguments.rows(Some(path), file).with_context(name)?;
            bad += classify(&engine, rows, &mut output, |_| {}).with_context(name)?;
        }
        progress.finish_and_clear();
    }
    if bad > 0 {
        bail!("{bad} rows could not be read; the output says which and why");
    }
    Ok(())
}

/// How much of the files has been read, on standard error.
fn bytes_bar(files: &[PathBuf]) -> anyhow::Result<ProgressBar> {
    let mut bytes = 0;
    for file in files {
        bytes += file.metadata().with_context(|| file.display().to_string())?.len();
    }
    let template = "{wide_bar} {bytes}/{total_bytes}, {eta} left";
    let style = ProgressStyle::with_template(template)?;
    Ok(ProgressBar::new(bytes).with_style(style))
}

/// Gives the number of rows that could not be read.
fn classify<R: Read>(
    engine: &Engine,
    mut rows: Rows<R>,
    output: &mut Output<impl Write>,
    progress: impl Fn(u64),
) -> anyhow::Result<u64> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let mut bad = 0;
    loop {
        let piece = piece(&mut rows, CHUNK * workers)?;
        if piece.is_empty() {
            return Ok(bad);
        }
        for (row, classification) in piece.iter().zip(classified(engine, &piece)) {
            bad += u64::from(row.text.is_err());
            output.write(row, classification.as_ref())?;
        }
        output.flush()?;
        progress(piece.len() as u64);
    }
}

/// At most so many rows, fewer if they are long.
fn piece<R: Read>(rows: &mut Rows<R>, most: usize) -> anyhow::Result<Vec<Row>> {
    let (mut piece, mut bytes) = (Vec::new(), 0);
    while piece.len() < most && bytes < PIECE {
        let Some(row) = rows.next().transpose()? else { break };
        bytes += row.bytes();
        piece.push(row);
    }
    Ok(piece)
}

/// `None` for rows without a text.
fn classified(engine: &Engine, piece: &[Row]) -> Vec<Option<Classification>> {
    let texts: Vec<&str> = piece.iter().flat_map(|row| row.text.as_deref()).collect();
    let done: Vec<Classification> = thread::scope(|scope| {
        let parts: Vec<_> =
            texts.chunks(CHUNK).map(|part| scope.spawn(move || engine.classify(part))).collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().expect("classifying does not panic"))
            .collect()
    });
    let mut done = done.into_iter();
    piece.iter().map(|row| row.text.is_ok().then(|| done.next()).flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(files: &[&str]) -> Classify {
        Classify {
            files: files.iter().map(PathBuf::from).collect(),
            from: None,
            to: None,
            json: false,
            field: "text".into(),
            keep: vec![],
            models: None,
        }
    }

    #[test]
    fn long_rows_come_in_small_pieces() {
        let line = format!("{{\"text\": \"a\", \"more\": \"{}\"}}\n", "x".repeat(PIECE / 10));
        let lines = line.repeat(25);
        let keep = ["more".to_owned()];
        let mut rows =
            Rows::new(Kind::Jsonl, "text", &keep, BufReader::new(lines.as_bytes())).unwrap();
        let sizes: Vec<usize> = (0..4).map(|_| piece(&mut rows, 256).unwrap().len()).collect();
        assert_eq!(sizes, [10, 10, 5, 0]);
    }

    #[test]
    fn names_are_trimmed_and_not_empty() {
        assert_eq!(name(" id "), Ok("id".to_owned()));
        assert!(name(" ").is_err());
    }

    #[test]
    fn kinds_follow_the_names_of_the_files() {
        for (file, kind) in [
            ("a.jsonl", Kind::Jsonl),
            ("b.CSV", Kind::Csv),
            ("c.txt", Kind::Lines),
            ("d", Kind::Lines),
        ] {
            let arguments = arguments(&[file]);
            assert_eq!((arguments.kind(arguments.files.first()), arguments.output()), (kind, kind));
        }
        let json = Classify { json: true, from: Some(Kind::Csv), ..arguments(&["a.txt"]) };
        assert_eq!((json.kind(json.files.first()), json.output()), (Kind::Csv, Kind::Jsonl));
        assert_eq!(arguments(&[]).output(), Kind::Lines);
    }
}
