//! Splits a file into categories and passages.

use std::iter::Peekable;

use crate::{
    Defaults,
    gift::{
        is_blank,
        symbol::{Symbol, push_line},
    },
};

const ESCAPES: &str = "\\~=#{}:n";
const GENERAL: &str = "General";

/// A part of a file.
pub(super) enum Block<'a> {
    /// What follows `$CATEGORY:` on its line.
    Category(&'a str),
    Passage(Passage),
}

/// Lines between blank ones: a question, a description, or comments alone.
#[derive(Default)]
pub(super) struct Passage {
    pub(super) text: Vec<Symbol>,
    pub(super) comment: Vec<Symbol>,
}

impl Passage {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.comment.is_empty()
    }

    fn push(&mut self, line: &str, number: u32) {
        if line.trim_start_matches(is_blank).starts_with("//") {
            push_line(&mut self.comment, line, number, "]");
        } else {
            push_line(&mut self.text, line, number, ESCAPES);
        }
    }
}

/// The blocks of `source`, whose lines end in `\n`, `\r\n` or, if there is no `\n` at all, `\r`.
pub(super) fn blocks(source: &str) -> impl Iterator<Item = Block<'_>> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let line_end = if source.contains('\n') { '\n' } else { '\r' };
    Blocks { lines: (1..).zip(source.split(line_end)).peekable() }
}

struct Blocks<L: Iterator> {
    lines: Peekable<L>,
}

impl<'a, L: Iterator<Item = (u32, &'a str)>> Iterator for Blocks<L> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let mut passage = Passage::default();
        while let Some(&(number, line)) = self.lines.peek() {
            let content = line.trim_matches(is_blank);
            let category = content.strip_prefix("$CATEGORY:");
            let separates = content.is_empty() || category.is_some();
            if separates && !passage.is_empty() {
                break;
            }
            self.lines.next();
            if let Some(path) = category {
                return Some(Block::Category(path));
            }
            if !separates {
                passage.push(line, number);
            }
        }
        (!passage.is_empty()).then_some(Block::Passage(passage))
    }
}

/// Subject and skill of a category path, or `None` if it names neither.
pub(super) fn category(path: &str) -> Option<Defaults> {
    let mut names = category_names(path);
    if names.first().is_some_and(|n| n.len() > 2 && n.starts_with('$') && n.ends_with('$')) {
        names.remove(0);
    }
    if names.first().is_some_and(|name| name == "top") {
        names.remove(0);
    }
    let last = names.pop()?;
    Some(match names.pop() {
        Some(subject) => Defaults { subject, skill: last },
        None => Defaults { subject: last, skill: GENERAL.to_owned() },
    })
}

/// The parts of a path between single slashes; two slashes are one within a name.
fn category_names(path: &str) -> Vec<String> {
    let bytes = path.as_bytes();
    let is_slash = |at: usize| bytes.get(at) == Some(&b'/');
    let mut names = Vec::new();
    let mut start = 0;
    for at in 0..=path.len() {
        let single = is_slash(at) && !is_slash(at + 1) && (at == 0 || !is_slash(at - 1));
        if single || at == path.len() {
            names.push(path[start..at].trim_matches(is_blank).replace("//", "/"));
            start = at + 1;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_the_last_two_names() {
        for (path, subject, skill) in [
            (" Biology/Cell structure ", "Biology", "Cell structure"),
            ("$course$/top/Biology/Cells", "Biology", "Cells"),
            ("$cat1$/School/Year 1/Physics/Optics/", "Physics", "Optics"),
            ("top/Biology", "Biology", GENERAL),
            ("$course$/top/Default for Bio 101", "Default for Bio 101", GENERAL),
            ("$course$/top/top/a", "top", "a"),
            ("I//O/ //dev/b", "/dev", "b"),
            ("Math/In // Out", "Math", "In / Out"),
        ] {
            let expected = Defaults { subject: subject.into(), skill: skill.into() };
            assert_eq!(category(path), Some(expected), "{path}");
        }
        for none in ["", " / ", "$course$", "$course$/top"] {
            assert_eq!(category(none), None, "{none}");
        }
    }
}
