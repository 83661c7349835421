//! Words as the rules compare them.

/// Words that allow no exception.
pub(super) const ABSOLUTE: [&str; 9] =
    ["always", "never", "all", "none", "only", "every", "must", "impossible", "entirely"];

/// Runs of letters, digits and apostrophes, as written.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’'))
        .filter(|word| !word.is_empty())
}

/// The same in lower case.
pub(super) fn lower_words(text: &str) -> Vec<String> {
    words(text).map(str::to_lowercase).collect()
}

/// The first absolute word of a text.
pub(super) fn absolute_word(text: &str) -> Option<&'static str> {
    let words = lower_words(text);
    ABSOLUTE.into_iter().find(|absolute| words.iter().any(|word| word == absolute))
}

/// Whether the text holds a lower-case “not” or a verb with “n’t”.
pub(super) fn is_negative(text: &str) -> bool {
    words(text).any(|word| {
        matches!(word, "not" | "never" | "cannot") || word.ends_with("n't") || word.ends_with("n’t")
    })
}

/// The last sentence: what follows the last full stop, question or exclamation mark that is not
/// at the end.
pub(super) fn last_sentence(text: &str) -> &str {
    let body = text.trim_end().trim_end_matches(['.', '?', '!', ':', '…']);
    let start = [". ", "? ", "! ", ".\n", "?\n", "!\n"].iter().filter_map(|end| body.rfind(end));
    start.max().map_or(text, |at| &text[at + 2..])
}

/// Content words cut to their first letters, so that forms of one word are equal.
pub(super) fn content_stems(text: &str) -> Vec<String> {
    const LEAST: usize = 5;
    const KEPT: usize = 6;
    const COMMON: [&str; 16] = [
        "which",
        "about",
        "these",
        "those",
        "their",
        "there",
        "following",
        "where",
        "would",
        "should",
        "could",
        "between",
        "because",
        "during",
        "having",
        "other",
    ];
    lower_words(text)
        .into_iter()
        .filter(|word| word.chars().count() >= LEAST && !COMMON.contains(&word.as_str()))
        .filter(|word| word.chars().all(char::is_alphabetic))
        .map(|word| word.chars().take(KEPT).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_and_words_are_found() {
        assert_eq!(last_sentence("It does not burn. Which gas is it?"), "Which gas is it?");
        assert_eq!(last_sentence("Why? "), "Why? ");
        assert_eq!(lower_words("Don't stop, H2O!"), ["don't", "stop", "h2o"]);
        assert_eq!(content_stems("Photosynthesis there"), ["photos"]);
        assert!(is_negative("It isn’t") && !is_negative("It is NOT a knot"));
    }
}
