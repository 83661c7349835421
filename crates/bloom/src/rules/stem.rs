//! Rules on the stem and the texts around the options.

use quizmentor_core::{Body, TextFormat};

use super::{
    Item, finding,
    words::{absolute_word, is_negative, last_sentence, lower_words, words},
};
use crate::{Finding, Rule, Severity};

const LONGEST_STEM: usize = 120;
const NEGATIVE: [&str; 4] = ["not", "except", "never", "least"];

pub(super) fn empty(item: &Item<'_>) -> Vec<Finding> {
    if !item.stem.trim().is_empty() {
        return vec![];
    }
    vec![finding(
        Rule::StemEmpty,
        Severity::Error,
        "stem",
        "The stem is empty. Write what is asked.",
    )]
}

pub(super) fn too_long(item: &Item<'_>) -> Vec<Finding> {
    let count = item.stem.split_whitespace().count();
    if count <= LONGEST_STEM {
        return vec![];
    }
    let message = format!(
        "The stem has {count} words; over {LONGEST_STEM} it tests reading. Leave out what is not \
         needed for the answer."
    );
    vec![finding(Rule::StemTooLong, Severity::Warning, "stem", message)]
}

/// A choice that asks for the exception, or a statement with “not”, where the word is not set
/// off by capitals or mark-up.
pub(super) fn negative(item: &Item<'_>) -> Vec<Finding> {
    let (word, advice) = match &item.question.body {
        Body::SingleChoice { .. } | Body::MultipleChoice { .. } => {
            (exception_word(&item.stem), "Ask for what is right, or write the word in capitals.")
        }
        Body::TrueFalse { .. } => (
            words(&item.stem).find(|&word| word == "not").map(|_| "not"),
            "Say it without the negation, or write the word in capitals.",
        ),
        _ => return vec![],
    };
    let Some(word) = word.filter(|word| !is_emphasised(&item.question.stem, word)) else {
        return vec![];
    };
    let message = format!("“{word}” in the stem is easily missed. {advice}");
    vec![finding(Rule::NegativeStem, Severity::Warning, "stem", message)]
}

/// The lower-case negative word by which the last sentence asks for the exception: “which of
/// these is not …”, but not “what happens if you do not …”.
fn exception_word(stem: &str) -> Option<&'static str> {
    let words: Vec<&str> = words(last_sentence(stem)).collect();
    let at = words.iter().position(|word| NEGATIVE.contains(word))?;
    let before: Vec<String> = words[..at].iter().map(|word| word.to_lowercase()).collect();
    let selects =
        before.iter().any(|word| matches!(word.as_str(), "which" | "following" | "these"));
    let what_is = before.len() >= 2 && matches!(before[before.len() - 2].as_str(), "what" | "who");
    if selects || what_is { NEGATIVE.into_iter().find(|word| *word == words[at]) } else { None }
}

fn is_emphasised(raw: &str, word: &str) -> bool {
    ["*", "_", "<b>", "<strong>", "<em>", "<u>", "<i>"]
        .iter()
        .any(|mark| raw.contains(&format!("{mark}{word}")))
}

pub(super) fn double_negative(item: &Item<'_>) -> Vec<Finding> {
    let stem = last_sentence(&item.stem);
    let negated = exception_word(stem).is_some() || words(stem).any(|word| word == "NOT");
    let options = item.options.iter().filter(|option| negated && is_negative(&option.text));
    options
        .map(|option| {
            let message =
                "The stem is negative and so is this option. Word one of them positively.";
            finding(Rule::DoubleNegative, Severity::Warning, &option.field, message)
        })
        .collect()
}

/// “a” or “an” at the end of the stem or before its blank.
pub(super) fn article_cue(item: &Item<'_>) -> Vec<Finding> {
    let until_blank = item.stem.find("__").map_or(item.stem.as_str(), |at| &item.stem[..at]);
    let last = words(until_blank).last().map(str::to_lowercase);
    let open =
        until_blank.trim_end_matches([' ', ':', '…', '.', '\n']).ends_with(char::is_alphabetic);
    let Some(article) = last.filter(|word| open && (word == "a" || word == "an")) else {
        return vec![];
    };
    let fits = |text: &str| starts_with_vowel(text) == (article == "an");
    let misfits = item.distractors().filter(|option| !fits(&option.text)).count();
    if misfits == 0 {
        return vec![];
    }
    let message = format!(
        "“{article}” before the blank does not fit {misfits} of the distractors and gives them away. \
         Write “a(n)”, or move the article into the options."
    );
    vec![finding(Rule::ArticleCue, Severity::Warning, "stem", message)]
}

/// Whether English puts “an” before the text, by its letters.
fn starts_with_vowel(text: &str) -> bool {
    let word = words(text).next().unwrap_or_default().to_lowercase();
    let silent_h = ["hour", "honest", "honour", "honor", "heir"];
    let consonant_sound = ["uni", "use", "usu", "eu", "one", "ure"];
    silent_h.iter().any(|start| word.starts_with(start))
        || (word.starts_with(['a', 'e', 'i', 'o', 'u'])
            && !consonant_sound.iter().any(|start| word.starts_with(start)))
}

pub(super) fn answer_inside(item: &Item<'_>) -> Vec<Finding> {
    const SHORTEST: usize = 4;
    let Body::ShortAnswer { accepted } = &item.question.body else { return vec![] };
    let stem = format!(" {} ", lower_words(&item.stem).join(" "));
    let inside = accepted.iter().enumerate().filter(|(_, answer)| {
        let answer_words = lower_words(&answer.text).join(" ");
        answer_words.len() >= SHORTEST
            && !answer.text.contains('*')
            && stem.contains(&format!(" {answer_words} "))
    });
    inside
        .map(|(index, answer)| {
            let message = format!(
                "The stem holds the accepted answer “{}”. Reword the stem.",
                answer.text.trim()
            );
            let field = format!("body.accepted[{index}].text");
            finding(Rule::AnswerInStem, Severity::Warning, field, message)
        })
        .collect()
}

pub(super) fn absolute_statement(item: &Item<'_>) -> Vec<Finding> {
    let Body::TrueFalse { .. } = item.question.body else { return vec![] };
    let Some(word) = absolute_word(&item.stem) else { return vec![] };
    let message = format!(
        "Statements with “{word}” are mostly false, and learners know it. Leave the word out \
         unless it is what the question is about."
    );
    vec![finding(Rule::AbsoluteStatement, Severity::Info, "stem", message)]
}

pub(super) fn missing_figure(item: &Item<'_>) -> Vec<Finding> {
    const FIGURES: [&str; 7] =
        ["figure", "diagram", "graph", "picture", "image", "chart", "photograph"];
    const POINTERS: [&str; 5] = ["above", "below", "shown", "this", "following"];
    const REACH: usize = 3;
    let has_image = item.question.stem.contains("<img") || item.question.stem.contains("![");
    let words = lower_words(&item.stem);
    let is = |set: &[&str], word: &String| set.contains(&word.as_str());
    let points = words
        .windows(REACH.min(words.len().max(1)))
        .any(|near| near.iter().any(|w| is(&FIGURES, w)) && near.iter().any(|w| is(&POINTERS, w)));
    if has_image || !points {
        return vec![];
    }
    let message = "The stem speaks of a figure, but holds none. Add it, or describe it in words.";
    vec![finding(Rule::MissingFigure, Severity::Warning, "stem", message)]
}

/// Mark-up in plain text, and formulas in TeX in any text.
pub(super) fn unsupported_markup(item: &Item<'_>) -> Vec<Finding> {
    let plain = item.question.format == TextFormat::Plain;
    let kind = |text: &str| {
        if text.contains("\\frac") || text.contains("\\(") || text.contains("$$") {
            Some(("TeX", "Write the formula with Unicode characters."))
        } else if plain && text.contains("</") {
            Some(("HTML", "State the format html, or leave the tags out."))
        } else if plain && text.matches("**").count() == 2 && !text.contains(" ** ") {
            Some(("Markdown", "State the format markdown, or leave the marks out."))
        } else {
            None
        }
    };
    let found = item.texts().into_iter().filter_map(|(field, text)| Some((field, kind(text)?)));
    found
        .map(|(field, (kind, advice))| {
            let message = format!("Learners will see this {kind} as it is written. {advice}");
            finding(Rule::UnsupportedMarkup, Severity::Warning, field, message)
        })
        .collect()
}

pub(super) fn broken_text(item: &Item<'_>) -> Vec<Finding> {
    const MISREAD: [&str; 5] = ["Ã©", "Ã¨", "Ã¤", "â€", "Â°"];
    let is_broken = |text: &str| {
        text.contains(|c: char| {
            c == char::REPLACEMENT_CHARACTER || (c.is_control() && !c.is_whitespace())
        }) || MISREAD.iter().any(|trace| text.contains(trace))
    };
    let broken = item.texts().into_iter().filter(|(_, text)| is_broken(text));
    broken
        .map(|(field, _)| {
            let message = "Some characters were damaged on the way here. Type them anew, and save \
                           the file as UTF-8.";
            finding(Rule::BrokenText, Severity::Warning, field, message)
        })
        .collect()
}

pub(super) fn no_explanation(item: &Item<'_>) -> Vec<Finding> {
    let feedback = match &item.question.body {
        Body::SingleChoice { options } | Body::MultipleChoice { options } => {
            options.iter().any(|option| option.credit > 0.0 && !option.feedback.trim().is_empty())
        }
        Body::TrueFalse { feedback_right, .. } => !feedback_right.trim().is_empty(),
        Body::ShortAnswer { accepted } => accepted.iter().any(|a| !a.feedback.trim().is_empty()),
        Body::Numerical { accepted } => accepted.iter().any(|a| !a.feedback.trim().is_empty()),
        Body::Matching { .. } | Body::Essay => false,
    };
    if feedback || !item.question.explanation.trim().is_empty() {
        return vec![];
    }
    let message = "There is no explanation. Say in a sentence or two why the key is right: \
                   learners see it after their answer.";
    vec![finding(Rule::NoExplanation, Severity::Info, "explanation", message)]
}
