//! Rows of a file, one at a time. However long a row is, its memory is bounded.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, BufRead, BufReader, Read},
};

use anyhow::{Context, bail};
use csv::ByteRecord;
use quizmentor_core::limits;
use serde::de::IgnoredAny;
use serde_json::value::{RawValue, to_raw_value};

use super::Kind;

/// As much of a plain line as is looked at: it shows whether the text was longer.
const LINE: usize = limits::CLASSIFY_TEXT + 1;
/// Longest line of JSON, and longest row of CSV, in bytes.
const JSON_LINE: usize = 1024 * 1024;
/// What editors put before a text in UTF-8 at times.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A row and its text.
#[derive(Debug)]
pub(super) struct Row {
    /// Where it begins, counted from 1.
    pub(super) line: u64,
    /// The text, or why there is none.
    pub(super) text: Result<String, String>,
    /// The fields to keep, in their order, as JSON; none where the row has none of the name.
    pub(super) kept: Vec<Option<Box<RawValue>>>,
}

impl Row {
    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let kept = self.kept.iter().flatten().map(|value| value.get().len());
        self.text.as_ref().map_or(0, String::len) + kept.sum::<usize>()
    }
}

/// The rows of a file.
pub(super) enum Rows<R> {
    Lines(Lines<R>),
    Jsonl { lines: Lines<R>, field: String, keep: Vec<String> },
    Csv { reader: csv::Reader<Bounded<BufReader<R>>>, column: usize, keep: Vec<usize> },
}

impl<R: Read> Rows<R> {
    /// Fails if a CSV file has no such columns, or plain lines are to have any.
    pub(super) fn new(
        kind: Kind,
        field: &str,
        keep: &[String],
        reader: BufReader<R>,
    ) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Lines if !keep.is_empty() => {
                bail!("plain lines have no fields to --keep; --from tells what a file holds")
            }
            Kind::Lines => Self::Lines(Lines::new(reader, LINE)),
            Kind::Jsonl => Self::Jsonl {
                lines: Lines::new(reader, JSON_LINE + 1),
                field: field.to_owned(),
                keep: keep.to_vec(),
            },
            Kind::Csv => {
                let reader = Bounded { reader, left: JSON_LINE };
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
                let header = reader.byte_headers()?;
                let column = |name: &str| {
                    header.iter().position(|found| found.trim_ascii() == name.as_bytes())
                };
                let Some(text) = column(field) else {
                    bail!("no column {field:?}; --field names the one with the text");
                };
                let keep = keep.iter().map(|name| {
                    column(name).with_context(|| format!("no column {name:?} to --keep"))
                });
                let keep = keep.collect::<Result<_, _>>()?;
                Self::Csv { reader, column: text, keep }
            }
        })
    }

    fn read(&mut self) -> anyhow::Result<Option<Row>> {
        match self {
            Self::Lines(lines) => {
                let text = lines.read()?.map(|line| String::from_utf8_lossy(&line).into_owned());
                Ok(text.map(|text| Row { line: lines.number, text: Ok(text), kept: vec![] }))
            }
            Self::Jsonl { lines, field, keep } => loop {
                let Some(line) = lines.read()? else { return Ok(None) };
                if !line.trim_ascii().is_empty() {
                    let fields = fields_of(&line, field);
                    let of = |name| Some((*fields.as_ref().ok()?.get(name)?).to_owned());
                    let kept = keep.iter().map(|name| of(name.as_str())).collect();
                    let text = fields.as_ref().map_err(Clone::clone);
                    let text = text.and_then(|fields| text_of(fields, field));
                    return Ok(Some(Row { line: lines.number, text, kept }));
                }
            },
            Self::Csv { reader, column, keep } => {
                let mut record = ByteRecord::new();
                reader.get_mut().left = JSON_LINE;
                let begin = reader.position().line();
                if !reader.read_byte_record(&mut record).with_context(|| format!("line {begin}"))? {
                    return Ok(None);
                }
                let line = record.position().map_or(0, csv::Position::line);
                let field = |column: usize| record.get(column).map(String::from_utf8_lossy);
                let text = field(*column).map(Cow::into_owned);
                let text = text.ok_or_else(|| format!("only {} columns", record.len()));
                let kept = keep.iter().map(|&column| field(column).map(|text| to_raw_value(&text)));
                let kept = kept.map(Option::transpose).collect::<Result<_, _>>()?;
                Ok(Some(Row { line, text, kept }))
            }
        }
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = anyhow::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The fields of a line of JSON as they stand. A line that is but a string is the text.
fn fields_of<'a>(
    line: &'a [u8],
    field: &'a str,
) -> Result<HashMap<Cow<'a, str>, &'a RawValue>, String> {
    if line.len() > JSON_LINE {
        return Err(format!("longer than {JSON_LINE} bytes"));
    }
    let problem = |error| format!("no JSON: {error}");
    match line.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(line).map_err(problem),
        Some(b'"') => {
            let text = serde_json::from_slice(line).map_err(problem)?;
            Ok(HashMap::from([(field.into(), text)]))
        }
        _ => {
            serde_json::from_slice::<IgnoredAny>(line).map_err(problem)?;
            Err("neither an object nor a string".into())
        }
    }
}

fn text_of(fields: &HashMap<Cow<'_, str>, &RawValue>, field: &str) -> Result<String, String> {
    let Some(value) = fields.get(field) else {
        return Err(format!("no field {field:?}; --field names the one with the text"));
    };
    if !value.get().starts_with('"') {
        return Err(format!("{field:?} is no string"));
    }
    serde_json::from_str(value.get()).map_err(|error| format!("{field:?} is no text: {error}"))
}

/// Refuses to read more than is left to a row: a quote that is never closed would take the rest of
/// the file for one.
pub(super) struct Bounded<R> {
    reader: R,
    left: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let problem = format!("a row is longer than {JSON_LINE} bytes; is a quote left open?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let most = buffer.len().min(self.left);
        let read = self.reader.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}

/// Lines of any bytes, of which at most so many are kept.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    kept: usize,
    /// Of the line read last.
    number: u64,
}

impl<R: Read> Lines<R> {
    fn new(reader: BufReader<R>, kept: usize) -> Self {
        Self { reader, kept, number: 0 }
    }

    /// `None` at the end.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut read = false;
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                break;
            }
            read = true;
            let end = available.iter().position(|&byte| byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            line.extend_from_slice(&part[..part.len().min(self.kept - line.len())]);
            let used = end.map_or(available.len(), |at| at + 1);
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if self.number == 0 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        self.number += u64::from(read);
        Ok(read.then_some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(kind: Kind, bytes: &[u8]) -> Vec<(u64, Result<String, String>)> {
        let rows = Rows::new(kind, "text", &[], BufReader::with_capacity(7, bytes)).unwrap();
        rows.map(|row| row.unwrap()).map(|row| (row.line, row.text)).collect()
    }

    fn row(line: u64, text: &str) -> (u64, Result<String, String>) {
        (line, Ok(text.into()))
    }

    #[test]
    fn lines_of_any_bytes_are_read() {
        assert_eq!(rows(Kind::Lines, b""), []);
        assert_eq!(
            rows(Kind::Lines, b"one\r\n\nb\xffd"),
            [row(1, "one"), row(2, ""), row(3, "b\u{fffd}d")]
        );
    }

    #[test]
    fn an_endless_line_is_cut() {
        let long = [vec![b'x'; 50_000], b"\nnext".to_vec()].concat();
        let read = rows(Kind::Lines, &long);
        assert_eq!(read[0].1.as_ref().unwrap().len(), LINE);
        assert_eq!(read[1], row(2, "next"));
    }

    #[test]
    fn json_is_read_line_by_line() {
        let read = rows(
            Kind::Jsonl,
            b"{\"text\": \"one\", \"n\": 1}\n\n\"two\"\n{\n{\"text\": 3}\n{}\n[]\n{\"text\": \"\xff\"}\n",
        );
        assert_eq!(read[..2], [row(1, "one"), row(3, "two")]);
        for (found, (line, problem)) in read[2..].iter().zip([
            (4, "no JSON: EOF"),
            (5, "\"text\" is no string"),
            (6, "no field \"text\""),
            (7, "neither an object nor a string"),
            (8, "no JSON: invalid unicode"),
        ]) {
            let error = found.1.as_ref().unwrap_err();
            assert!(found.0 == line && error.starts_with(problem), "{found:?}");
        }
        assert_eq!(read.len(), 7);
        let long = [vec![b' '; JSON_LINE + 9], b"\n\"next\"".to_vec(), vec![b'\n']].concat();
        assert_eq!(rows(Kind::Jsonl, &long), [row(2, "next")]);
        let long = [b"\"".to_vec(), vec![b'x'; JSON_LINE], b"\"\n\"next\"".to_vec()].concat();
        let read = rows(Kind::Jsonl, &long);
        assert!(read[0].1.as_ref().unwrap_err().starts_with("longer than"), "{:?}", read[0].0);
        assert_eq!(read[1], row(2, "next"));
    }

    #[test]
    fn what_editors_put_before_the_text_is_no_part_of_it() {
        assert_eq!(rows(Kind::Jsonl, b"\xef\xbb\xbf\"one\"\n"), [row(1, "one")]);
        assert_eq!(rows(Kind::Lines, b"\xef\xbb\xbfone\n"), [row(1, "one")]);
        assert_eq!(rows(Kind::Csv, b"\xef\xbb\xbftext\none\n"), [row(2, "one")]);
    }

    #[test]
    fn a_quote_left_open_is_told() {
        let bytes = [b"text\none\n\"two\n".to_vec(), b"more\n".repeat(JSON_LINE)].concat();
        let mut rows = Rows::new(Kind::Csv, "text", &[], BufReader::new(&bytes[..])).unwrap();
        assert_eq!(rows.next().unwrap().unwrap().text.unwrap(), "one");
        let error = format!("{:#}", rows.next().unwrap().unwrap_err());
        assert!(error.contains("line 3") && error.contains("is a quote left open?"), "{error}");
    }

    #[test]
    fn columns_are_found_by_name() {
        let read = rows(Kind::Csv, b"id, text \n1,\"one,\ntwo\"\n2\n3,three,more\n4,\xff\n");
        assert_eq!(
            read,
            [
                row(2, "one,\ntwo"),
                (4, Err("only 1 columns".into())),
                row(5, "three"),
                row(6, "\u{fffd}"),
            ]
        );
        let error =
            Rows::new(Kind::Csv, "stem", &[], BufReader::new(&b"id,text\n"[..])).err().unwrap();
        assert!(error.to_string().starts_with("no column \"stem\""), "{error}");
    }

    /// What is kept of `id` and `more`, as JSON.
    fn kept(kind: Kind, bytes: &[u8]) -> Vec<String> {
        let keep = ["id".to_owned(), "more".to_owned()];
        let rows = Rows::new(kind, "text", &keep, BufReader::new(bytes)).unwrap();
        rows.map(|row| serde_json::to_string(&row.unwrap().kept).unwrap()).collect()
    }

    #[test]
    fn other_fields_are_kept_as_they_stand_where_there_are_any() {
        let read = kept(
            Kind::Jsonl,
            b"{\"text\": \"a\", \"id\": 12345678901234567890123, \"more\": {\"b\":1.10, \"a\":2}}\n\
              {\"i\\u0064\": \"b\"}\n\"c\"\nno\n",
        );
        assert_eq!(
            read,
            [
                "[12345678901234567890123,{\"b\":1.10, \"a\":2}]",
                "[\"b\",null]",
                "[null,null]",
                "[null,null]",
            ]
        );
        let read = kept(Kind::Csv, b"more,text,id\n1,a,x\n2\n");
        assert_eq!(read, ["[\"x\",\"1\"]", "[null,\"2\"]"]);
    }

    #[test]
    fn fields_that_cannot_be_kept_are_told() {
        for (kind, message) in [
            (Kind::Csv, "no column \"id\" to --keep"),
            (Kind::Lines, "plain lines have no fields to --keep"),
        ] {
            let rows = Rows::new(kind, "text", &["id".into()], BufReader::new(&b"text\n"[..]));
            let error = rows.err().unwrap();
            assert!(error.to_string().starts_with(message), "{error}");
        }
    }
}
