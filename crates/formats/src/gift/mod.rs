//! GIFT, the plain-text question format of Moodle.
//!
//! Read as Moodle's importer reads it: questions are separated by blank lines (a blank line inside
//! braces therefore breaks a question); lines are trimmed; `//` begins a comment line;
//! `\~ \= \# \{ \} \: \\` stand for the character and `\n` for a line break. Beyond that:
//!
//! - `$CATEGORY: …/Subject/Skill` gives subject and skill by its last two parts; one part alone is
//!   the subject, with the skill “General”. A leading `$course$` or the like and `top` are dropped,
//!   `//` is a slash within a name, and a path that names neither returns to the defaults.
//! - `// [id:…] [tag:…]` in a question's comment lines give its id and tags. The tags
//!   `bloom:LEVEL`, `difficulty:1…5`, `status:draft|published|archived` and `skill:SUBJECT/SKILL`
//!   (slugs) set fields. A label that cannot be used is a problem, and the question does without.
//! - `[moodle]` and no marker mean plain text. A question has one format, that of its stem.
//! - Where Moodle would guess at a slip (stray braces, text before the first `~`, an unclosed
//!   title, `#` in a matching pair) the question is refused with a problem. A weight after `=` is
//!   read in choice questions too, and a weight tells a short answer with `->` from a pair.
//! - In a numerical question `~#…` holds the feedback for all other numbers; it becomes a first
//!   accepted range over all finite numbers with credit 0.
//!
//! Time and memory are linear in the file, which may hold `limits::IMPORT` bytes; questions are
//! held to the limits of [`Question::defects`](quizmentor_core::Question::defects).
//!
//! What GIFT cannot carry, and [`print()`] therefore changes: white space around a text (dropped),
//! carriage returns (line breaks), control characters in tags and in the names of subject and skill
//! (spaces), `->` in a matching prompt (`→`), backslashes at a tag's end (dropped), free tags that
//! look like one of the four above (read back as such).

mod answers;
mod blocks;
mod labels;
mod print;
mod question;
mod symbol;

use crate::{
    Defaults, Import,
    gift::blocks::{Block, blocks, category},
    import::Importer,
};

pub use print::print;

/// Reads a GIFT file. A question that cannot be read is left out and named among the problems; the
/// others are not affected.
#[must_use]
pub fn parse(source: &str, defaults: &Defaults) -> Import {
    let mut importer = match Importer::for_source(source) {
        Ok(importer) => importer,
        Err(refused) => return refused,
    };
    let mut current = defaults.clone();
    for block in blocks(source) {
        match block {
            Block::Category(path) => current = category(path).unwrap_or_else(|| defaults.clone()),
            Block::Passage(passage) => question::read(&passage, &current, &mut importer),
        }
    }
    importer.finish()
}

/// Whether Moodle trims `c` from the ends of lines and texts.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\0' | '\u{b}')
}
