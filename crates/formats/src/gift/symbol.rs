//! Characters that know whether they were escaped and where they stand.

use std::iter;

use crate::{gift::is_blank, import::Place};

/// A character of a question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol {
    pub(super) char: char,
    /// Written with a backslash, hence without meaning for the syntax.
    pub(super) escaped: bool,
    pub(super) place: Place,
}

impl Symbol {
    pub(super) fn is(self, control: char) -> bool {
        self.char == control && !self.escaped
    }
}

/// A stretch of a question.
pub(super) type Text<'a> = &'a [Symbol];

/// Appends `line` without the blanks around it, after a line break if something stands before.
/// A backslash escapes the characters in `escapes`; `n` stands for a line break.
pub(super) fn push_line(symbols: &mut Vec<Symbol>, line: &str, number: u32, escapes: &str) {
    let content = line.trim_start_matches(is_blank);
    let mut place = Place { line: number, column: 1 };
    place.column += line[..line.len() - content.len()].chars().count() as u32;
    if !symbols.is_empty() {
        symbols.push(Symbol { char: '\n', escaped: false, place });
    }
    let mut chars = content.trim_end_matches(is_blank).chars().peekable();
    while let Some(char) = chars.next() {
        let named = if char == '\\' { chars.next_if(|&c| escapes.contains(c)) } else { None };
        let (char, width) = match named {
            Some('n') => ('\n', 2),
            Some(named) => (named, 2),
            None => (char, 1),
        };
        symbols.push(Symbol { char, escaped: named.is_some(), place });
        place.column += width;
    }
}

/// `text` without the blanks around it.
pub(super) fn trimmed(text: Text<'_>) -> Text<'_> {
    let inked = |symbol: &Symbol| !is_blank(symbol.char);
    let Some(first) = text.iter().position(inked) else { return &[] };
    let last = text.iter().rposition(inked).unwrap_or(first);
    &text[first..=last]
}

/// The characters of `text` without the blanks around it.
pub(super) fn plain(text: Text<'_>) -> String {
    trimmed(text).iter().map(|symbol| symbol.char).collect()
}

/// Whether `text` begins with the control characters `controls`.
pub(super) fn starts_with(text: Text<'_>, controls: &str) -> bool {
    text.len() >= controls.len() && iter::zip(text, controls.chars()).all(|(s, c)| s.is(c))
}

/// The parts before and after the first `controls`, which are ASCII.
pub(super) fn split_once<'a>(text: Text<'a>, controls: &str) -> Option<(Text<'a>, Text<'a>)> {
    let at = text.windows(controls.len()).position(|window| starts_with(window, controls))?;
    Some((&text[..at], &text[at + controls.len()..]))
}

/// The parts before and after the last `controls`, which are ASCII.
pub(super) fn rsplit_once<'a>(text: Text<'a>, controls: &str) -> Option<(Text<'a>, Text<'a>)> {
    let at = text.windows(controls.len()).rposition(|window| starts_with(window, controls))?;
    Some((&text[..at], &text[at + controls.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(line: &str) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        push_line(&mut symbols, line, 7, "\\~=#{}:n");
        symbols
    }

    #[test]
    fn escapes_lose_their_backslash_and_their_meaning() {
        let text = symbols(r"a\=b \\= \n\x\");
        assert_eq!(plain(&text), "a=b \\= \n\\x\\");
        assert!(text[1].escaped && !text[5].escaped);
        assert!(text[5].is('='));
    }

    #[test]
    fn places_are_those_of_the_source() {
        let text = symbols("\t ä\\=b");
        let columns: Vec<_> = text.iter().map(|s| s.place.column).collect();
        assert_eq!(columns, [3, 4, 6]);
        assert!(text.iter().all(|s| s.place.line == 7));
    }

    #[test]
    fn splitting_looks_at_control_characters_only() {
        let text = symbols(r"a\####b####c#####d");
        let (before, after) = split_once(&text, "####").unwrap();
        assert_eq!((plain(before), plain(after)), ("a####b".into(), "c#####d".into()));
        let (before, after) = rsplit_once(&text, "####").unwrap();
        assert_eq!((plain(before), plain(after)), ("a####b####c#".into(), "d".into()));
        assert!(split_once(&text, "::").is_none());
    }
}
