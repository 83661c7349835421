//! Rules on options, pairs and accepted answers.

use quizmentor_core::Body;

use super::{
    Item, finding,
    words::{absolute_word, content_stems, lower_words},
};
use crate::{Finding, Rule, Severity};

const FEWEST_OPTIONS: usize = 3;
/// The key stands out when it is this many times as long as the longest distractor …
const LONG_KEY: f32 = 1.5;
/// … and longer by so many characters.
const LONG_KEY_CHARS: usize = 15;
const LONG_DISTRACTOR: f32 = 3.0;
const LONG_DISTRACTOR_CHARS: usize = 40;

pub(super) fn too_few(item: &Item<'_>) -> Vec<Finding> {
    let Body::SingleChoice { options } = &item.question.body else { return vec![] };
    if options.len() >= FEWEST_OPTIONS {
        return vec![];
    }
    let message = "A guess is right half of the time. Add a plausible distractor, such as a common \
                   mistake.";
    vec![finding(Rule::TooFewOptions, Severity::Warning, "body.options", message)]
}

/// Options, or prompts of pairs, that are the same but for white space.
pub(super) fn duplicates(item: &Item<'_>) -> Vec<Finding> {
    let texts: Vec<(String, &str)> = match &item.question.body {
        Body::Matching { pairs } => pairs
            .iter()
            .enumerate()
            .filter(|(_, pair)| !pair.prompt.trim().is_empty())
            .map(|(index, pair)| (format!("body.pairs[{index}].prompt"), pair.prompt.trim()))
            .collect(),
        _ => item.options.iter().map(|o| (o.field.clone(), o.text.trim())).collect(),
    };
    later_equals(&texts)
        .map(|(field, text)| {
            let message = format!("“{text}” is there twice. Remove one, or change it.");
            finding(Rule::DuplicateOptions, Severity::Error, field, message)
        })
        .collect()
}

/// The entries whose text is that of an earlier one.
fn later_equals<T: PartialEq>(texts: &[(String, T)]) -> impl Iterator<Item = (&str, &T)> {
    texts.iter().enumerate().filter_map(|(index, (field, text))| {
        texts[..index].iter().any(|(_, earlier)| earlier == text).then_some((field.as_str(), text))
    })
}

pub(super) fn near_duplicates(item: &Item<'_>) -> Vec<Finding> {
    let mut seen: Vec<(&str, String)> = Vec::new();
    let mut findings = Vec::new();
    for option in &item.options {
        let Some(essence) = essence(&option.text) else { continue };
        let text = option.text.trim();
        let twin = seen.iter().find(|(other, theirs)| *theirs == essence && *other != text);
        if let Some((other, _)) = twin {
            let message = format!(
                "“{text}” says the same as “{other}”, so neither can be the key alone. Change one."
            );
            findings.push(finding(
                Rule::NearDuplicateOptions,
                Severity::Warning,
                &option.field,
                message,
            ));
        }
        seen.push((text, essence));
    }
    findings
}

/// What is left of a wording without case, articles and final punctuation; `None` where case or
/// signs may be the point (formulas, symbols, code).
fn essence(text: &str) -> Option<String> {
    const WORD: usize = 4;
    let text = text.trim().trim_end_matches(['.', ';', ',', '!']);
    let is_wording = text.chars().all(|c| c.is_alphabetic() || " ,’'-".contains(c));
    let words = lower_words(text);
    let is_prose = words.iter().any(|word| word.chars().count() >= WORD);
    let kept = words.into_iter().filter(|word| !matches!(word.as_str(), "a" | "an" | "the"));
    (is_wording && is_prose).then(|| kept.collect::<Vec<_>>().join(" "))
}

pub(super) fn all_of_the_above(item: &Item<'_>) -> Vec<Finding> {
    let advice = "knowing two right options is enough to choose it. Ask for several answers, or \
                  replace it by a real distractor.";
    of_the_above(item, Rule::AllOfTheAbove, &["all", "both"], advice)
}

pub(super) fn none_of_the_above(item: &Item<'_>) -> Vec<Finding> {
    let advice =
        "it shows only that a learner knows what is wrong. Replace it by a real distractor.";
    of_the_above(item, Rule::NoneOfTheAbove, &["none", "neither"], advice)
}

fn of_the_above(item: &Item<'_>, rule: Rule, first: &[&str], advice: &str) -> Vec<Finding> {
    let refers = |text: &str| {
        let words = lower_words(text);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [start, "of", "the" | "these", rest @ ..] => {
                first.contains(start) && matches!(rest, [] | ["above" | "options" | "answers", ..])
            }
            [start, "of", "them"] | [start, "above"] => first.contains(start),
            _ => false,
        }
    };
    let referring = item.options.iter().filter(|option| refers(&option.text));
    referring
        .map(|option| {
            let message = format!("“{}”: {advice}", option.text.trim());
            finding(rule, Severity::Warning, &option.field, message)
        })
        .collect()
}

pub(super) fn longest_key(item: &Item<'_>) -> Vec<Finding> {
    let Body::SingleChoice { .. } = item.question.body else { return vec![] };
    let longest = item.distractors().map(|option| length(&option.text)).max().unwrap_or(0);
    let stands_out = |length: usize| {
        length >= longest + LONG_KEY_CHARS && length as f32 >= LONG_KEY * longest as f32
    };
    let keys = item.keys().filter(|key| longest > 0 && stands_out(length(&key.text)));
    keys.map(|key| {
        let message = "The key is clearly the longest option, which gives it away. Shorten it, or \
                       make the distractors as precise.";
        finding(Rule::LongestKey, Severity::Warning, &key.field, message)
    })
    .collect()
}

pub(super) fn uneven(item: &Item<'_>) -> Vec<Finding> {
    let mut lengths: Vec<usize> = item.options.iter().map(|o| length(&o.text)).collect();
    lengths.sort_unstable();
    let Some(&median) = lengths.get(lengths.len() / 2) else { return vec![] };
    let stands_out = |length: usize| {
        length >= median + LONG_DISTRACTOR_CHARS && length as f32 >= LONG_DISTRACTOR * median as f32
    };
    let uneven = item.distractors().filter(|option| stands_out(length(&option.text)));
    uneven
        .map(|option| {
            let message = "This distractor is far longer than the other options. Bring them to \
                           about the same length.";
            finding(Rule::UnevenOptions, Severity::Info, &option.field, message)
        })
        .collect()
}

fn length(text: &str) -> usize {
    text.trim().chars().count()
}

pub(super) fn absolute_distractors(item: &Item<'_>) -> Vec<Finding> {
    if item.keys().any(|key| absolute_word(&key.text).is_some()) {
        return vec![];
    }
    let above = all_of_the_above(item).into_iter().chain(none_of_the_above(item));
    let above: Vec<String> = above.map(|finding| finding.field).collect();
    let distractors = item.distractors().filter(|option| !above.contains(&option.field));
    distractors
        .filter_map(|option| Some((option, absolute_word(&option.text)?)))
        .map(|(option, word)| {
            let message = format!(
                "“{word}” is in a distractor but not in the key; learners cross such options out \
                 unread. Word it less strongly."
            );
            finding(Rule::AbsoluteDistractors, Severity::Info, &option.field, message)
        })
        .collect()
}

pub(super) fn key_echoes_stem(item: &Item<'_>) -> Vec<Finding> {
    let stem = content_stems(&item.stem);
    let echoes = |text: &str| content_stems(text).iter().any(|word| stem.contains(word));
    if item.distractors().count() == 0 || item.distractors().any(|option| echoes(&option.text)) {
        return vec![];
    }
    let keys = item.keys().filter(|key| echoes(&key.text));
    keys.map(|key| {
        let message = "Of all options only the key repeats a word of the stem, which gives it away. \
                       Use another word, or use it in a distractor too.";
        finding(Rule::KeyEchoesStem, Severity::Info, &key.field, message)
    })
    .collect()
}

pub(super) fn all_right(item: &Item<'_>) -> Vec<Finding> {
    let Body::MultipleChoice { .. } = item.question.body else { return vec![] };
    if item.options.is_empty() || item.distractors().count() > 0 {
        return vec![];
    }
    let message = "Every option is right. Add distractors.";
    vec![finding(Rule::AllOptionsRight, Severity::Warning, "body.options", message)]
}

pub(super) fn one_right(item: &Item<'_>) -> Vec<Finding> {
    let Body::MultipleChoice { .. } = item.question.body else { return vec![] };
    if item.keys().count() != 1 {
        return vec![];
    }
    let message = "Only one option is right. Make it a single-choice question, or say in the stem \
                   that one answer may be enough.";
    vec![finding(Rule::OneOptionRight, Severity::Info, "body.options", message)]
}

pub(super) fn no_spare_answer(item: &Item<'_>) -> Vec<Finding> {
    let Body::Matching { pairs } = &item.question.body else { return vec![] };
    let mut answers: Vec<&str> = pairs.iter().map(|pair| pair.answer.trim()).collect();
    answers.sort_unstable();
    answers.dedup();
    if pairs.is_empty() || answers.len() != pairs.len() || pairs.iter().any(|p| p.prompt.is_empty())
    {
        return vec![];
    }
    let message = "Each answer is used once, so the last pair follows from the others. Add an answer \
                   that fits no prompt.";
    vec![finding(Rule::NoSpareAnswer, Severity::Info, "body.pairs", message)]
}

pub(super) fn accepts_anything(item: &Item<'_>) -> Vec<Finding> {
    let Body::ShortAnswer { accepted } = &item.question.body else { return vec![] };
    let open = accepted.iter().enumerate().filter(|(_, answer)| {
        let text = answer.text.trim();
        answer.credit > 0.0 && !text.is_empty() && text.chars().all(|c| c == '*')
    });
    open.map(|(index, _)| {
        let message = "“*” accepts any answer. Write what is expected, with “*” only where wording \
                       may differ.";
        let field = format!("body.accepted[{index}].text");
        finding(Rule::AcceptsAnything, Severity::Warning, field, message)
    })
    .collect()
}
