//! Which language a text is in, and whether the model knows it.

use whatlang::{Lang, Script};

use crate::Language;

/// Characters looked at; more change nothing and cost time.
const SAMPLE: usize = 600;
/// Fewer letters than this do not tell one Latin-script language from another.
const FEWEST_LETTERS: usize = 24;
/// Share of words among [`ENGLISH`] from which a text is English whatever its trigrams say:
/// technical terms are Latin and Greek.
const ENGLISH_SHARE: f32 = 0.12;
/// Common English words that are no words of other languages with Latin script.
const ENGLISH: [&str; 48] = [
    "the",
    "of",
    "and",
    "to",
    "what",
    "which",
    "how",
    "why",
    "who",
    "when",
    "where",
    "is",
    "are",
    "was",
    "were",
    "for",
    "with",
    "from",
    "by",
    "that",
    "this",
    "these",
    "those",
    "between",
    "their",
    "its",
    "you",
    "your",
    "would",
    "should",
    "could",
    "can",
    "does",
    "did",
    "be",
    "been",
    "it",
    "if",
    "using",
    "use",
    "used",
    "or",
    "following",
    "explain",
    "describe",
    "each",
    "about",
    "into",
];

/// The language of the beginning of a text.
#[must_use]
pub fn detect(text: &str) -> Language {
    let sample: String = text.chars().take(SAMPLE).collect();
    let letters = sample.chars().filter(|c| c.is_alphabetic()).count();
    let undetermined = || Language { code: "und".into(), confidence: 0.0, known: true };
    let Some(info) = whatlang::detect(&sample) else { return undetermined() };
    let confidence = info.confidence() as f32;
    let guess = |known| Language { code: info.lang().code().into(), confidence, known };
    if info.script() != Script::Latin {
        return guess(false);
    }
    if info.lang() == Lang::Eng || english_share(&sample) >= ENGLISH_SHARE {
        return Language { code: Lang::Eng.code().into(), confidence, known: true };
    }
    if letters < FEWEST_LETTERS || !info.is_reliable() { undetermined() } else { guess(false) }
}

fn english_share(text: &str) -> f32 {
    let (mut words, mut english) = (0, 0);
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        words += 1;
        english += usize::from(ENGLISH.iter().any(|known| known.eq_ignore_ascii_case(word)));
    }
    english as f32 / words.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_is_known_whether_long_or_short() {
        for text in [
            "What is the capital of France?",
            "Compare and contrast mitosis and meiosis.",
            "define",
            "",
            "3.5 × 10⁴ N",
            "Evaluate hypertrophic cardiomyopathy aetiology",
        ] {
            assert!(detect(text).known, "{text}: {:?}", detect(text));
        }
        assert_eq!(detect("What is the capital of France?").code, "eng");
        assert_eq!(detect("").code, "und");
    }

    #[test]
    fn other_languages_are_named() {
        for (text, code) in [
            ("Erklären Sie, warum der Himmel am Tag blau und am Abend rot erscheint.", "deu"),
            ("Expliquez pourquoi le ciel est bleu pendant la journée et rouge le soir.", "fra"),
            ("日本の首都はどこですか？", "jpn"),
            ("Объясните, почему днём небо голубое, а вечером красное и розовое.", "rus"),
        ] {
            let language = detect(text);
            assert_eq!((language.code.as_str(), language.known), (code, false), "{text}");
        }
    }
}
