//! Response logs: one row an answer, columns found by name.

use std::io::Read;

use jiff::Timestamp;

use super::row_error;
use crate::{Error, Item, ItemKey, Outcome, SkillKey, keys::hash_text};

/// A row of a log.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) learner: u64,
    pub(super) item: Item,
    pub(super) event: Event,
}

/// What a row tells.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// An answer.
    Answer(Outcome),
    /// The item was shown with its answer.
    Study(Option<Timestamp>),
}

/// Where the columns stand.
struct Columns {
    learner: usize,
    correct: usize,
    item: Option<usize>,
    skills: Option<usize>,
    timestamp: Option<usize>,
    event: Option<usize>,
    latency: Option<usize>,
}

/// Reads a log row by row.
pub(super) struct Log<R: Read> {
    reader: csv::Reader<R>,
    columns: Columns,
    record: csv::ByteRecord,
}

impl<R: Read> Log<R> {
    /// Reads the header. An empty source is an empty log.
    pub(super) fn new(source: R) -> Result<Self, Error> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(source);
        let header = reader.byte_headers().map_err(|e| row_error(0, &e))?.clone();
        let find = |name: &str| header.iter().position(|h| trim(h) == name.as_bytes());
        let need = |name: &'static str| match find(name) {
            Some(at) => Ok(at),
            None if header.is_empty() => Ok(0),
            None => Err(Error::MissingColumn(name)),
        };
        let columns = Columns {
            learner: need("learner")?,
            correct: need("correct")?,
            item: find("item"),
            skills: find("skills"),
            timestamp: find("timestamp_ms"),
            event: find("event"),
            latency: find("latency_ms"),
        };
        Ok(Self { reader, columns, record: csv::ByteRecord::new() })
    }

    /// The next row; `None` at the end. After an [`Error::Row`] the next row can be read.
    pub(super) fn next_row(&mut self) -> Option<Result<Row, Error>> {
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.record.position().map_or(0, csv::Position::line);
                Some(self.row().map_err(|reason| Error::Row { line, reason }))
            }
            Err(error) => Some(Err(row_error(0, &error))),
        }
    }

    fn row(&self) -> Result<Row, String> {
        let learner = self.text(Some(self.columns.learner))?;
        if learner.is_empty() {
            return Err("no learner".to_owned());
        }
        let at = self.number::<i64>("timestamp_ms", self.columns.timestamp)?;
        let at = at
            .map(|ms| Timestamp::from_millisecond(ms).map_err(|_| format!("{ms} is no time")))
            .transpose()?;
        let event = if self.text(self.columns.event)? == "study" {
            Event::Study(at)
        } else {
            let correct = match self.text(Some(self.columns.correct))? {
                "1" => true,
                "0" => false,
                other => return Err(format!("correct is “{other}”; 0 or 1 expected")),
            };
            let elapsed = self.number::<f64>("latency_ms", self.columns.latency)?;
            let elapsed_ms = elapsed.filter(|ms| *ms >= 0.0).map(|ms| ms as u32);
            Event::Answer(Outcome { elapsed_ms, ..Outcome::new(correct, at) })
        };
        Ok(Row { learner: hash_text(learner), item: self.item()?, event })
    }

    /// The item of the row. Where a log names no items, rows on the same skills share one.
    fn item(&self) -> Result<Item, String> {
        let skills = self.text(self.columns.skills)?;
        let mut keys: Vec<SkillKey> =
            skills.split(';').map(str::trim).filter(|s| !s.is_empty()).map(SkillKey::of).collect();
        let first = keys.first().copied();
        keys.sort_unstable();
        keys.dedup();
        if let Some(at) = first.and_then(|key| keys.iter().position(|k| *k == key)) {
            keys.swap(0, at);
        }
        let name = self.text(self.columns.item)?;
        let key = if name.is_empty() { ItemKey::of(skills) } else { ItemKey::of(name) };
        Ok(Item::bare(key, keys))
    }

    fn text(&self, column: Option<usize>) -> Result<&str, String> {
        let Some(column) = column else { return Ok("") };
        let field = self.record.get(column).ok_or_else(|| {
            format!("{} columns; at least {} expected", self.record.len(), column + 1)
        })?;
        std::str::from_utf8(trim(field)).map_err(|_| format!("column {} is not UTF-8", column + 1))
    }

    fn number<T: std::str::FromStr>(
        &self,
        name: &str,
        column: Option<usize>,
    ) -> Result<Option<T>, String> {
        match self.text(column)? {
            "" => Ok(None),
            text => {
                text.parse().map(Some).map_err(|_| format!("{name} is “{text}”; a number expected"))
            }
        }
    }
}

fn trim(field: &[u8]) -> &[u8] {
    field.strip_prefix(b"\xef\xbb\xbf").unwrap_or(field).trim_ascii()
}
