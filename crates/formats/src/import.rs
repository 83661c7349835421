//! What all formats share: the result of an import, and the checks that each question passes.

use std::collections::{HashMap, hash_map::Entry};

use quizmentor_core::{Question, QuestionId, SkillId, limits};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::{Uuid, uuid};

/// Most questions of one import; those after it are left out.
pub const MAX_QUESTIONS: usize = 10_000;
/// Most problems that an import lists; one more then counts the rest.
pub const MAX_PROBLEMS: usize = 1_000;

/// What was read from a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Import {
    /// Sound questions in the file's order, each with an id of its own.
    pub questions: Vec<Question>,
    /// What could not be read, or was read only in part.
    pub problems: Vec<Problem>,
}

/// Something in a file that was not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, ToSchema)]
#[error("line {line}, column {column}: {message}")]
pub struct Problem {
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
    /// What is wrong and what to do.
    pub message: String,
}

/// Where questions belong for which the file names no category. Names are as people write them,
/// each with at least one Latin letter or digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// Subject, for instance “Computer science”.
    pub subject: String,
    /// Skill, for instance “Algorithms”.
    pub skill: String,
}

/// The id of a question whose file gives none: the version 5 UUID (RFC 9562) of skill, title and
/// stem with a NUL between them. The same question read again gets the same id, so that it is
/// updated and not doubled, even where its options changed.
#[must_use]
pub fn derived_id(skill: &SkillId, title: &str, stem: &str) -> QuestionId {
    const NAMESPACE: Uuid = uuid!("5d1c4f8e-2b7a-4c39-9e60-a7f3d8b1c254");
    let name = format!("{skill}\0{title}\0{stem}");
    QuestionId::new(Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string())
        .expect("a UUID is made of a-f, 0-9 and hyphens")
}

/// A place in a file; line and column count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    pub(crate) fn problem(self, message: impl Into<String>) -> Problem {
        Problem { line: self.line, column: self.column, message: message.into() }
    }
}

/// The beginning of `text`, short enough for a message.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Gathers questions and problems while a file is read.
#[derive(Default)]
pub(crate) struct Importer {
    import: Import,
    lines: HashMap<QuestionId, u32>,
    unlisted: Option<(Place, usize)>,
}

impl Importer {
    /// Refuses a file that is longer than [`limits::IMPORT`].
    pub(crate) fn for_source(source: &str) -> Result<Self, Import> {
        if source.len() <= limits::IMPORT {
            return Ok(Self::default());
        }
        let problem = Place::START.problem(format!(
            "the file is {} bytes long; at most {} are allowed: split it",
            source.len(),
            limits::IMPORT
        ));
        Err(Import { questions: vec![], problems: vec![problem] })
    }

    pub(crate) fn problem(&mut self, problem: Problem) {
        if self.import.problems.len() < MAX_PROBLEMS {
            self.import.problems.push(problem);
        } else {
            let place = Place { line: problem.line, column: problem.column };
            self.unlisted.get_or_insert((place, 0)).1 += 1;
        }
    }

    /// Takes `question`, which stands at `place` and its options at `items`, unless it has
    /// defects or another question's id.
    pub(crate) fn question(&mut self, question: Question, place: Place, items: &[Place]) {
        let defects = question.defects();
        for defect in &defects {
            let at = item_index(&defect.field).and_then(|i| items.get(i)).unwrap_or(&place);
            self.problem(at.problem(defect.to_string()));
        }
        if !defects.is_empty() {
            return;
        }
        if self.import.questions.len() == MAX_QUESTIONS {
            self.problem(place.problem(format!(
                "left out: an import holds at most {MAX_QUESTIONS} questions; split the file"
            )));
            return;
        }
        match self.lines.entry(question.id.clone()) {
            Entry::Vacant(free) => {
                free.insert(place.line);
                self.import.questions.push(question);
            }
            Entry::Occupied(first) => {
                let message = format!(
                    "left out: it has the id “{}” of the question on line {}; give it another id \
                     (without one, equal skill, title and stem make equal ids)",
                    question.id,
                    first.get()
                );
                self.problem(place.problem(message));
            }
        }
    }

    pub(crate) fn finish(mut self) -> Import {
        if let Some((place, count)) = self.unlisted {
            let message = format!("{count} more problems from here on are not listed");
            self.import.problems.push(place.problem(message));
        }
        self.import
    }
}

/// The index in a defect's field such as `body.options[2].text`.
fn item_index(field: &str) -> Option<usize> {
    field.strip_prefix("body.")?.split(['[', ']']).nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_fixed_for_ever_and_tell_parts_apart() {
        let skill = SkillId::new("biology/cells").unwrap();
        let id = derived_id(&skill, "ATP", "Which organelle?");
        assert_eq!(id.as_str(), "a788613f-9422-5320-87cd-8f9d8ba18953");
        assert_ne!(derived_id(&skill, "", "ab"), derived_id(&skill, "a", "b"));
    }

    #[test]
    fn items_of_the_body_alone_have_an_index() {
        assert_eq!(item_index("body.options[12].text"), Some(12));
        assert_eq!(item_index("body.options"), None);
        assert_eq!(item_index("tags[3]"), None);
    }

    #[test]
    fn problems_beyond_the_limit_are_counted() {
        let mut importer = Importer::default();
        for line in 1..=MAX_PROBLEMS as u32 + 5 {
            importer.problem(Place { line, column: 1 }.problem("no"));
        }
        let problems = importer.finish().problems;
        assert_eq!(problems.len(), MAX_PROBLEMS + 1);
        let last = problems.last().unwrap();
        assert_eq!(last.line, MAX_PROBLEMS as u32 + 1);
        assert!(last.message.starts_with("5 more problems"));
    }

    #[test]
    fn excerpts_end_at_a_character() {
        assert_eq!(excerpt(&"ä".repeat(40)), "ä".repeat(40));
        assert_eq!(excerpt(&"ä".repeat(41)), "ä".repeat(40) + "…");
    }
}
