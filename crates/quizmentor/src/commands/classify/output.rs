//! Classified rows as columns, JSON lines or CSV.

use std::io::{self, Write};

use anyhow::Context;
use quizmentor_bloom::Classification;
use quizmentor_core::Level;
use serde::Serialize;

use super::{Kind, input::Row};

/// Writes one row for each that was read, whether it could be classified or not.
pub(super) enum Output<'a, W: Write> {
    Columns { model: &'a str, out: W },
    Jsonl { model: &'a str, out: W },
    Csv { model: &'a str, out: Box<csv::Writer<W>> },
}

/// What is said of a row.
#[derive(Serialize)]
struct Line<'a> {
    line: u64,
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
    /// Begins with the header, where there is one.
    pub(super) fn new(kind: Kind, model: &'a str, out: W) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Lines => Self::Columns { model, out },
            Kind::Jsonl => Self::Jsonl { model, out },
            Kind::Csv => {
                let mut out = Box::new(csv::Writer::from_writer(out));
                let levels = Level::ALL.map(Level::name);
                let header = ["line", "text", "model", "level", "unsure", "verdict"];
                out.write_record(header.iter().chain(&levels).chain(&["error"]))?;
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
            Self::Jsonl { model, out } => {
                let found = found.map(|classification| Found {
                    model,
                    level: classification.top.name(),
                    classification,
                });
                serde_json::to_writer(&mut *out, &Line { line: row.line, error, text, found })?;
                writeln!(out)?;
            }
            Self::Csv { model, out } => {
                out.write_field(row.line.to_string())?;
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
    use serde_json::Value;

    use super::*;

    fn written(kind: Kind) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::new(kind, "tiny-1", &mut bytes).unwrap();
        let classification = Classification {
            verdict: Verdict::NotAQuestion { reason: Reason::Code },
            top: Level::Apply,
            unsure: true,
            levels: vec![],
            probabilities: [0.25, 0.0, 0.5, 0.0, 0.0, 0.125].into(),
            language: Language { code: "eng".into(), confidence: 0.5, known: true },
            truncated: false,
        };
        let good = Row { line: 3, text: Ok("a, b".into()) };
        output.write(&good, Some(&classification)).unwrap();
        output.write(&Row { line: 4, text: Err("no JSON".into()) }, None).unwrap();
        output.flush().unwrap();
        drop(output);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn columns_begin_with_the_level() {
        assert_eq!(
            written(Kind::Lines),
            "apply      0.250 0.000 0.500 0.000 0.000 0.125  tiny-1  a, b\nerror: no JSON\n"
        );
    }

    #[test]
    fn comma_separated_values_have_a_header() {
        assert_eq!(
            written(Kind::Csv),
            "line,text,model,level,unsure,verdict,remember,understand,apply,analyze,evaluate,create,\
             error\n\
             3,\"a, b\",tiny-1,apply,true,code,0.2500,0.0000,0.5000,0.0000,0.0000,0.1250,\n\
             4,,tiny-1,,,,,,,,,,no JSON\n"
        );
    }

    #[test]
    fn each_line_of_json_is_an_object() {
        let lines: Vec<Value> =
            written(Kind::Jsonl).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["line"], 3);
        assert_eq!(lines[0]["level"], "apply");
        assert_eq!(lines[0]["verdict"]["reason"], "code");
        assert_eq!(lines[1], serde_json::json!({"line": 4, "error": "no JSON"}));
    }
}
