//! Writes questions.

use std::iter;

use quizmentor_core::{AcceptedNumber, Body, Choice, Question, SkillId, Status, TextFormat};

use crate::gift::{is_blank, question::marker_of};

/// Writes `questions` as a GIFT file that [`parse`](crate::gift::parse) reads back to the same
/// questions, and Moodle to its own; the module says what cannot be carried.
#[must_use]
pub fn print(questions: &[Question]) -> String {
    let mut out = String::new();
    let mut category = None;
    for question in questions {
        let names = (&question.subject_name, &question.skill_name);
        if category.replace(names) != Some(names) {
            let path = format!("{}/{}", category_name(names.0), category_name(names.1));
            out += &format!("$CATEGORY: $course$/top/{path}\n\n");
        }
        out += &print_question(question);
    }
    out
}

fn print_question(question: &Question) -> String {
    let format = question.format;
    let title = if question.title.trim_matches(is_blank).is_empty() {
        String::new()
    } else {
        format!("::{}::", escaped(&question.title))
    };
    let hash = if matches!(question.body, Body::Numerical { .. }) { "#" } else { "" };
    let explanation = formatted(&question.explanation, format);
    let explanation = (!explanation.is_empty()).then(|| format!("####{explanation}"));
    let lines: String = answers(&question.body, format)
        .into_iter()
        .chain(explanation)
        .map(|line| format!("\t{line}\n"))
        .collect();
    format!(
        "// {}\n{title}{}{} {{{hash}\n{lines}}}\n\n",
        labels(question),
        marker_of(format),
        escaped(&question.stem),
    )
}

fn labels(question: &Question) -> String {
    let skill = SkillId::from_names(&question.subject_name, &question.skill_name);
    let skill =
        (skill.as_ref() != Ok(&question.skill)).then(|| format!("skill:{}", question.skill));
    let status = (question.status != Status::default())
        .then(|| format!("status:{}", question.status.name()));
    let tags = [
        question.level.map(|level| format!("bloom:{level}")),
        question.difficulty.map(|difficulty| format!("difficulty:{difficulty}")),
        skill,
        status,
    ];
    let free = question.tags.iter().map(|tag| {
        one_line(tag).trim_end_matches(|c| is_blank(c) || c == '\\').replace(']', "\\]")
    });
    let tags = tags.into_iter().flatten().chain(free.filter(|tag| !tag.is_empty()));
    iter::once(format!("[id:{}]", question.id))
        .chain(tags.map(|tag| format!("[tag:{tag}]")))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A name as a part of a category path.
fn category_name(name: &str) -> String {
    let name = one_line(name);
    let name = name.trim_matches(is_blank);
    let before = if name.starts_with('/') { " " } else { "" };
    let after = if name.ends_with('/') { " " } else { "" };
    format!("{before}{}{after}", name.replace('/', "//"))
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `text` without blanks around it and without meaning for the syntax.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.replace("\r\n", "\n").trim_matches(is_blank).chars() {
        match c {
            '\n' | '\r' => out += "\\n",
            '~' | '=' | '#' | '{' | '}' | ':' | '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// An option, prompt or feedback; a marker keeps `[html]` or `%50%` at its beginning as they are.
fn formatted(text: &str, format: TextFormat) -> String {
    let text = escaped(text);
    let marker = if text.starts_with(['[', '%']) { marker_of(format) } else { "" };
    format!("{marker}{text}")
}

/// `#feedback`, or nothing.
fn feedback(text: &str, format: TextFormat) -> String {
    let text = formatted(text, format);
    if text.is_empty() { text } else { format!("#{text}") }
}

fn answers(body: &Body, format: TextFormat) -> Vec<String> {
    match body {
        Body::SingleChoice { options } => {
            options.iter().map(|o| option(o, o.credit == 1.0, format)).collect()
        }
        Body::MultipleChoice { options } => {
            options.iter().map(|o| option(o, false, format)).collect()
        }
        Body::TrueFalse { key, feedback_right, feedback_wrong } => {
            let judgement = if *key { "TRUE" } else { "FALSE" };
            let right = feedback(feedback_right, format);
            let wrong = feedback(feedback_wrong, format);
            let gap = if wrong.is_empty() && !right.is_empty() { "#" } else { "" };
            vec![format!("{judgement}{wrong}{gap}{right}")]
        }
        Body::ShortAnswer { accepted } => {
            let is_arrowed = accepted.iter().any(|a| a.text.contains("->"));
            let line = |credit: f64, text: &str, comment: &str| {
                let weight =
                    if credit == 1.0 && !is_arrowed { String::new() } else { weight(credit) };
                format!("={weight}{}{}", formatted(text, format), feedback(comment, format))
            };
            accepted.iter().map(|a| line(a.credit, &a.text, &a.feedback)).collect()
        }
        Body::Numerical { accepted } => numbers(accepted, format),
        Body::Matching { pairs } => pairs
            .iter()
            .map(|p| {
                let prompt = formatted(&p.prompt.replace("->", "→"), format);
                format!("={prompt} -> {}", escaped(&p.answer))
            })
            .collect(),
        Body::Essay => vec![],
    }
}

fn option(option: &Choice, is_key: bool, format: TextFormat) -> String {
    let mark = match option.credit {
        _ if is_key => "=".to_owned(),
        0.0 => "~".to_owned(),
        credit => format!("~{}", weight(credit)),
    };
    let text = formatted(&option.text, format);
    format!("{mark}{text}{}", feedback(&option.feedback, format))
}

/// The accepted ranges; feedback for all other numbers, which the first holds, comes last.
fn numbers(accepted: &[AcceptedNumber], format: TextFormat) -> Vec<String> {
    let (others, accepted) = match accepted {
        [first, rest @ ..] if is_all(first) && first.credit == 0.0 => (Some(first), rest),
        all => (None, all),
    };
    let mut lines: Vec<_> = accepted
        .iter()
        .map(|a| {
            let weight = if a.credit == 1.0 { String::new() } else { weight(a.credit) };
            let range = match a {
                a if is_all(a) => "*".to_owned(),
                a if a.min == a.max => number(a.min),
                a => format!("{}..{}", number(a.min), number(a.max)),
            };
            format!("={weight}{range}{}", feedback(&a.feedback, format))
        })
        .collect();
    lines.extend(others.map(|a| format!("~{}", feedback(&a.feedback, format))));
    lines
}

fn is_all(range: &AcceptedNumber) -> bool {
    (range.min, range.max) == (f64::MIN, f64::MAX)
}

/// The shortest decimal that reads back as `value`.
fn number(value: f64) -> String {
    let text = format!("{value:?}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// `%credit × 100%`: the shortest decimal of `credit` with its point moved, so that nothing is lost.
fn weight(credit: f64) -> String {
    let sign = if credit < 0.0 { "-" } else { "" };
    let text = credit.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (hundredths, rest) = match fraction.len() {
        0 => ("00".to_owned(), ""),
        1 => (format!("{fraction}0"), ""),
        _ => (fraction[..2].to_owned(), &fraction[2..]),
    };
    let percent = format!("{whole}{hundredths}");
    let percent = percent.trim_start_matches('0');
    let percent = if percent.is_empty() { "0" } else { percent };
    let point = if rest.is_empty() { "" } else { "." };
    format!("%{sign}{percent}{point}{rest}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_short_and_exact() {
        for (credit, expected) in [
            (1.0, "%100%"),
            (0.5, "%50%"),
            (-0.05, "%-5%"),
            (1.0 / 3.0, "%33.33333333333333%"),
            (0.0, "%0%"),
            (0.001, "%0.1%"),
        ] {
            assert_eq!(weight(credit), expected);
        }
    }

    #[test]
    fn numbers_are_short_and_exact() {
        for (value, expected) in [(42.0, "42"), (-0.1, "-0.1"), (1e300, "1e300"), (2e-7, "2e-7")] {
            assert_eq!(number(value), expected);
        }
    }
}
