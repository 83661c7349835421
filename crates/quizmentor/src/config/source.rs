//! Reading settings from their sources, and explaining every mistake in them.

use std::{fmt, ops::Range, path::Path};

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer},
};

use super::{Config, DEFAULTS};

/// Prefix of the environment variables that are settings.
const PREFIX: &str = "QUIZMENTOR__";

/// Names this alike (Jaro-Winkler similarity) are suggested for one another.
const ALIKE: f64 = 0.8;

/// A mistake in a source of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mistake {
    /// `file:line:column` or the environment variable.
    place: String,
    message: String,
}

/// Why a key cannot be set: the fault lies in its name or in its value.
enum Fault {
    Name(String),
    Value(String),
}

/// Every mistake that was found, in the order of the sources.
#[derive(Debug)]
pub(crate) struct Mistakes(Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Mistake { place, message }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(out, "{separator}{place}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Reads the settings: the defaults, then `file`, then the variables of `environment` whose names
/// start with `QUIZMENTOR__`.
///
/// # Errors
///
/// Every mistake in the file and the environment, each with its place.
pub(crate) fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Mistakes> {
    let mut mistakes = Vec::new();
    let text = file.map(|path| {
        std::fs::read_to_string(path).unwrap_or_else(|error| {
            mistakes.push(Mistake {
                place: path.display().to_string(),
                message: format!("cannot be read: {error}"),
            });
            String::new()
        })
    });
    let mut variables: Vec<_> =
        environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();

    let mut settings = Settings::defaults();
    if let (Some(path), Some(text)) = (file, &text) {
        let found = settings.read_file(text);
        mistakes.extend(found.into_iter().map(|(span, message)| {
            let (line, column) = position(text, span.start);
            Mistake { place: format!("{}:{line}:{column}", path.display()), message }
        }));
    }
    for (name, value) in &variables {
        if let Err(message) = settings.read_variable(name, value) {
            mistakes.push(Mistake { place: format!("environment variable {name}"), message });
        }
    }
    if mistakes.is_empty() { Ok(settings.config) } else { Err(Mistakes(mistakes)) }
}

/// One-based line and column of the byte at `offset`; columns count characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The settings as read so far: always valid, from the defaults on.
struct Settings<'i> {
    table: Spanned<DeTable<'i>>,
    config: Config,
}

impl<'i> Settings<'i> {
    fn defaults() -> Self {
        let table = DeTable::parse(DEFAULTS).expect("the defaults are TOML");
        let config = Config::deserialize(Deserializer::from(table.clone()))
            .expect("the defaults are valid settings");
        Self { table, config }
    }

    /// Takes over what `text` sets, and returns its mistakes by place.
    fn read_file(&mut self, text: &'i str) -> Vec<(Range<usize>, String)> {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut mistakes: Vec<_> = errors
            .iter()
            .map(|error| (error.span().unwrap_or_default(), error.message().to_owned()))
            .collect();
        // What a document with broken syntax means is guesswork.
        let sections = document.get_ref().iter().filter(|_| errors.is_empty());
        for (section, content) in sections {
            let name = section.get_ref();
            let keys = content.get_ref().as_table().filter(|_| self.section(name).is_some());
            let Some(keys) = keys else {
                mistakes.push((section.span(), self.no_section(name)));
                continue;
            };
            for (key, value) in keys {
                match self.set(name, key.get_ref(), value.clone()) {
                    Ok(()) => {}
                    Err(Fault::Name(message)) => mistakes.push((key.span(), message)),
                    Err(Fault::Value(message)) => mistakes.push((value.span(), message)),
                }
            }
        }
        mistakes.sort_by_key(|(span, _)| span.start);
        mistakes
    }

    /// Takes over the variable `name`: its value as TOML, or as a plain string where that does
    /// not fit.
    fn read_variable(&mut self, name: &str, value: &'i str) -> Result<(), String> {
        let path = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
        let Some((section, key)) = path.split_once("__") else {
            return Err(format!("write {PREFIX}SECTION__KEY; {}", self.sections()));
        };
        let text = Spanned::new(0..value.len(), DeValue::String(value.into()));
        let outcome = match (self.set(section, key, text), DeValue::parse(value)) {
            (Err(Fault::Value(_)), Ok(parsed)) => self.set(section, key, parsed),
            (outcome, _) => outcome,
        };
        outcome.map_err(|(Fault::Name(message) | Fault::Value(message))| message)
    }

    /// Sets one key if the settings stay valid by that.
    fn set(&mut self, section: &str, key: &str, value: Spanned<DeValue<'i>>) -> Result<(), Fault> {
        let mut table = self.table.clone();
        let Some(DeValue::Table(keys)) = table.get_mut().get_mut(section).map(Spanned::get_mut)
        else {
            return Err(Fault::Name(self.no_section(section)));
        };
        let Some(known) = keys.get_mut(key) else {
            let message = format!(
                "unknown key `{key}` in [{section}]{}; known keys: {}",
                suggestion(key, self.keys(section)),
                list(self.keys(section))
            );
            return Err(Fault::Name(message));
        };
        *known = value;
        self.config = Config::deserialize(Deserializer::from(table.clone()))
            .map_err(|error| Fault::Value(format!("[{section}] {key}: {}", error.message())))?;
        self.table = table;
        Ok(())
    }

    fn section(&self, name: &str) -> Option<&DeTable<'i>> {
        self.table.get_ref().get(name)?.get_ref().as_table()
    }

    fn keys(&self, section: &str) -> impl Iterator<Item = &str> {
        self.section(section).into_iter().flat_map(DeTable::keys).map(|key| key.get_ref().as_ref())
    }

    fn section_names(&self) -> impl Iterator<Item = &str> {
        self.table.get_ref().keys().map(|name| name.get_ref().as_ref())
    }

    fn sections(&self) -> String {
        format!("known sections: {}", list(self.section_names()))
    }

    /// What to say of `name` at the top of a file, where only sections stand.
    fn no_section(&self, name: &str) -> String {
        if self.section(name).is_some() {
            return format!("`{name}` is a section: write [{name}] and its keys below");
        }
        let homes: Vec<_> = self
            .section_names()
            .filter(|section| self.keys(section).any(|key| key == name))
            .map(|section| format!("[{section}]"))
            .collect();
        if !homes.is_empty() {
            return format!("`{name}` belongs below {}", homes.join(" or "));
        }
        let near = suggestion(name, self.section_names());
        format!("unknown section `{name}`{near}; {}", self.sections())
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
