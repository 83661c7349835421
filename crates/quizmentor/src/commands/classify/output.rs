//! Classified rows as columns, JSON lines or CSV.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
};

use anyhow::{Context, bail};
use quizmentor_bloom::Classification;
use quizmentor_core::Level;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Kind, input::Row};

/// The fields that a line of JSON has itself.
const JSON: [&str; 12] = [
    "line",
    "error",
    "text",
    "model",
    "level",
    "verdict",
    "top",
    "unsure",
    "levels",
    "probabilities",
    "language",
    "truncated",
];

/// The names of fields that a kind of output has itself, in order.
fn own(kind: Kind) -> Vec<&'static str> {
    match kind {
        Kind::Lines => vec![],
        Kind::Jsonl => JSON.to_vec(),
        Kind::Csv => {
            let levels = Level::ALL.map(Level::name);
            [&["line", "text", "model", "level", "unsure", "verdict"], &levels[..], &["error"]]
                .concat()
        }
    }
}

/// Writes one row for each that was read, whether it could be classified or not.
pub(super) enum Output<'a, W: Write> {
    Columns { model: &'a str, out: W },
    Jsonl { model: &'a str, keep: &'a [String], out: W },
    Csv { model: &'a str, out: Box<csv::Writer<W>> },
}

/// What is said of a row.
#[derive(Serialize)]
struct Line<'a> {
    line: u64,
    #[serde(flatten)]
    kept: BTreeMap<&'a str, &'a Option<Box<RawValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(flatten)]
    found: Option<Found<'a>>,
}

#[derive(Serialize)]
struct Found<'a> {
    model: &'a str,
    level: &'static str,
    #[serde(flatten)]
    classification: &'a Classification,
}

impl<'a, W: Write> Output<'a, W> {
    /// Begins with the header, where there is one. Fails if a field to keep has a name of the
    /// output's own.
    pub(super) fn new(
        kind: Kind,
        model: &'a str,
        keep: &'a [String],
        out: W,
    ) -> anyhow::Result<Self> {
        let mut own = own(kind);
        if let Some(name) = keep.iter().find(|name| own.contains(&name.as_str())) {
            bail!("--keep {name}: the output has a field of this name; rename it in the input");
        }
        Ok(match kind {
            Kind::Lines if !keep.is_empty() => {
                bail!("plain lines keep no fields; --from and --to tell what is read and printed")
            }
            Kind::Lines => Self::Columns { model, out },
            Kind::Jsonl => Self::Jsonl { model, keep, out },
            Kind::Csv => {
                let mut out = Box::new(csv::Writer::from_writer(out));
                own.splice(1..1, keep.iter().map(String::as_str));
                out.write_record(own)?;
                Self::Csv { model, out }
            }
        })
    }

    pub(super) fn write(
        &mut self,
        row: &Row,
        found: Option<&Classification>,
    ) -> anyhow::Result<()> {
        let text = row.text.as_deref().ok();
        let error = row.text.as_ref().err().map(String::as_str);
        match self {
            Self::Columns { model, out } => write_columns(out, model, text, found, error)?,
            Self::Jsonl { model, keep, out } => {
                let kept = keep.iter().map(String::as_str).zip(&row.kept).collect();
                let found = found.map(|classification| Found {
                    model,
                    level: classification.top.name(),
                    classification,
                });
                serde_json::to_writer(
                    &mut *out,
                    &Line { line: row.line, kept, error, text, found },
                )?;
                writeln!(out)?;
            }
            Self::Csv { model, out } => {
                out.write_field(row.line.to_string())?;
                for value in &row.kept {
                    out.write_field(plain(value.as_deref())?.as_bytes())?;
                }
                out.write_field(text.unwrap_or_default())?;
                out.write_field(*model)?;
                for field in fields(found)? {
                    out.write_field(field)?;
                }
                out.write_field(error.unwrap_or_default())?;
                out.write_record(None::<&[u8]>)?;
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Columns { out, .. } | Self::Jsonl { out, .. } => out.flush(),
            Self::Csv { out, .. } => out.flush(),
        }
    }
}

/// A string without its quotes, nothing for null, else the JSON as it stands.
fn plain(value: Option<&RawValue>) -> serde_json::Result<Cow<'_, str>> {
    match value.map(RawValue::get) {
        None | Some("null") => Ok("".into()),
        Some(text) if text.starts_with('"') => serde_json::from_str(text).map(Cow::Owned),
        Some(other) => Ok(other.into()),
    }
}

/// Level, probabilities from remember to create, model, text.
fn write_columns(
    out: &mut impl Write,
    model: &str,
    text: Option<&str>,
    found: Option<&Classification>,
    error: Option<&str>,
) -> io::Result<()> {
    let (Some(text), Some(found)) = (text, found) else {
        return writeln!(out, "error: {}", error.unwrap_or_default());
    };
    write!(out, "{:<10}", found.top.name())?;
    for probability in found.probabilities.to_array() {
        write!(out, " {probability:.3}")?;
    }
    writeln!(out, "  {model}  {text}")
}

/// Level, whether it is left open, verdict, probabilities; empty where nothing was found.
fn fields(found: Option<&Classification>) -> anyhow::Result<Vec<String>> {
    let Some(found) = found else { return Ok(vec![String::new(); 9]) };
    let verdict = serde_json::to_value(found.verdict)?;
    let verdict = ["reason", "kind"].iter().find_map(|key| verdict.get(key)?.as_str());
    let mut fields = vec![
        found.top.name().to_owned(),
        found.unsure.to_string(),
        verdict.context("a verdict has a kind")?.to_owned(),
    ];
    fields.extend(found.probabilities.to_array().map(|p| format!("{p:.4}")));
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use quizmentor_bloom::{Language, Reason, Verdict};
    use serde_json::{Value, json, value::to_raw_value};

    use super::*;

    fn written(kind: Kind, keep: &[&str]) -> String {
        let mut bytes = Vec::new();
        let keep: Vec<String> = keep.iter().copied().map(String::from).collect();
        let mut output = Output::new(kind, "tiny-1", &keep, &mut bytes).unwrap();
        let classification = Classification {
            verdict: Verdict::NotAQuestion { reason: Reason::Code },
            top: Level::Apply,
            unsure: true,
            levels: vec![],
            probabilities: [0.25, 0.0, 0.5, 0.0, 0.0, 0.125].into(),
            language: Language { code: "eng".into(), confidence: 0.5, known: true },
            truncated: false,
        };
        let kept = |value: Option<Value>| {
            let value = value.map(|value| to_raw_value(&value).unwrap());
            keep.iter().map(|_| value.clone()).collect()
        };
        let good = Row { line: 3, text: Ok("a, b".into()), kept: kept(Some(json!([7]))) };
        output.write(&good, Some(&classification)).unwrap();
        output
            .write(&Row { line: 4, text: Err("no JSON".into()), kept: kept(None) }, None)
            .unwrap();
        output.flush().unwrap();
        drop(output);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn columns_begin_with_the_level() {
        assert_eq!(
            written(Kind::Lines, &[]),
            "apply      0.250 0.000 0.500 0.000 0.000 0.125  tiny-1  a, b\nerror: no JSON\n"
        );
    }

    #[test]
    fn comma_separated_values_have_a_header() {
        assert_eq!(
            written(Kind::Csv, &[]),
            "line,text,model,level,unsure,verdict,remember,understand,apply,analyze,evaluate,create,\
             error\n\
             3,\"a, b\",tiny-1,apply,true,code,0.2500,0.0000,0.5000,0.0000,0.0000,0.1250,\n\
             4,,tiny-1,,,,,,,,,,no JSON\n"
        );
    }

    #[test]
    fn each_line_of_json_is_an_object() {
        let lines: Vec<Value> = written(Kind::Jsonl, &[])
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["line"], 3);
        assert_eq!(lines[0]["level"], "apply");
        assert_eq!(lines[0]["verdict"]["reason"], "code");
        assert_eq!(lines[1], json!({"line": 4, "error": "no JSON"}));
    }

    #[test]
    fn what_is_kept_comes_after_the_line() {
        let csv = written(Kind::Csv, &["id", "more"]);
        assert!(csv.starts_with("line,id,more,text,model,"), "{csv}");
        assert!(csv.contains("\n3,[7],[7],\"a, b\",") && csv.contains("\n4,,,,tiny-1,"), "{csv}");
        let json = written(Kind::Jsonl, &["id"]);
        assert!(json.starts_with(r#"{"line":3,"id":[7],"text""#), "{json}");
        assert!(json.contains(r#"{"line":4,"id":null,"error""#), "{json}");
    }

    #[test]
    fn names_of_the_output_itself_are_refused() {
        let line = written(Kind::Jsonl, &[]);
        let line: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
        let csv = written(Kind::Csv, &[]);
        let refused = |kind, name: &str| {
            let keep = [name.to_owned()];
            let error = Output::new(kind, "m", &keep, io::sink()).err();
            assert!(error.is_some_and(|error| error.to_string().contains(name)), "{name}");
        };
        line.as_object().unwrap().keys().for_each(|name| refused(Kind::Jsonl, name));
        csv.lines().next().unwrap().split(',').for_each(|name| refused(Kind::Csv, name));
        let keep = ["top".to_owned()];
        assert!(Output::new(Kind::Csv, "m", &keep, io::sink()).is_ok());
        let keep = ["id".to_owned()];
        assert!(Output::new(Kind::Lines, "m", &keep, io::sink()).is_err());
    }
}
