//! Reads one passage: title, stem, braces, explanation.

use quizmentor_core::{Question, SkillId, TextFormat};

use crate::{
    Defaults, Problem, derived_id,
    gift::{
        answers,
        blocks::Passage,
        is_blank,
        labels::Labels,
        symbol::{Symbol, Text, plain, rsplit_once, split_once, starts_with, trimmed},
    },
    import::{Importer, Place},
};

/// The blank where braces stand within a sentence.
const BLANK: &str = "_____";

/// Text formats by their markers; `[moodle]` is text in which line breaks count.
const MARKERS: [(&str, TextFormat); 4] = [
    ("[html]", TextFormat::Html),
    ("[markdown]", TextFormat::Markdown),
    ("[plain]", TextFormat::Plain),
    ("[moodle]", TextFormat::Plain),
];

/// Hands the question in `passage`, or why there is none, to `importer`.
pub(super) fn read(passage: &Passage, category: &Defaults, importer: &mut Importer) {
    let labels = Labels::read(&passage.comment, |problem| importer.problem(problem));
    if let Some(first) = passage.text.first() {
        match question(&passage.text, labels, category) {
            Ok((question, items)) => importer.question(question, first.place, &items),
            Err(problem) => importer.problem(problem),
        }
    } else if let Some(place) = labels.place {
        importer.problem(place.problem(
            "these labels belong to no question: remove the blank line between them and theirs",
        ));
    }
}

fn question(
    text: Text<'_>,
    labels: Labels,
    category: &Defaults,
) -> Result<(Question, Vec<Place>), Problem> {
    let place = text[0].place;
    let (title, text) = title(text)?;
    let parts = Parts::of(text, place)?;
    let (format, before) = marker(parts.before);
    let format = format.unwrap_or_default();
    let stem = stem(before, parts.after);
    let (answers, explanation) = rsplit_once(parts.braced, "####").unwrap_or((parts.braced, &[]));
    let (body, items) = answers::body(trimmed(answers), format)?;
    let skill = match labels.skill {
        Some(skill) => skill,
        None => skill_of(category).map_err(|message| place.problem(message))?,
    };
    let question = Question {
        id: labels.id.unwrap_or_else(|| derived_id(&skill, &title, &stem)),
        skill,
        subject_name: category.subject.clone(),
        skill_name: category.skill.clone(),
        title,
        stem,
        format,
        body,
        explanation: formatted(explanation, format)?,
        level: labels.level,
        difficulty: labels.difficulty,
        tags: labels.tags,
        status: labels.status.unwrap_or_default(),
    };
    Ok((question, items))
}

fn skill_of(category: &Defaults) -> Result<SkillId, String> {
    SkillId::from_names(&category.subject, &category.skill).map_err(|error| {
        format!(
            "the category “{}/{}” makes no skill: {error}; rename it, or add \
             [tag:skill:subject/skill] to the question's comment",
            category.subject, category.skill
        )
    })
}

fn title(text: Text<'_>) -> Result<(String, Text<'_>), Problem> {
    if !starts_with(text, "::") {
        return Ok((String::new(), text));
    }
    let (title, rest) = split_once(&text[2..], "::").ok_or_else(|| {
        text[0].place.problem("the title has no end: write “::” after it, or “\\:\\:” for colons")
    })?;
    Ok((plain(title), trimmed(rest)))
}

/// A question around its braces.
struct Parts<'a> {
    before: Text<'a>,
    braced: Text<'a>,
    after: Text<'a>,
}

impl<'a> Parts<'a> {
    fn of(text: Text<'a>, place: Place) -> Result<Self, Problem> {
        let is_brace = |symbol: &Symbol| symbol.is('{') || symbol.is('}');
        let mut braces = (0..).zip(text).filter(|(_, symbol)| is_brace(symbol));
        let Some((open, first)) = braces.next() else {
            return Err(place.problem(
                "skipped: without braces this is a description, not a question; add {…} with \
                 answers if it should be one",
            ));
        };
        if first.is('}') {
            return Err(first.place.problem(
                "“}” without “{” before it: write “\\}” for the character; a blank line inside \
                 braces ends a question",
            ));
        }
        let Some((close, second)) = braces.next() else {
            return Err(first.place.problem(
                "“{” is not closed before the next blank line or the end: add “}”, and write \
                 “\\n” for a blank line inside braces",
            ));
        };
        if second.is('{') {
            return Err(second.place.problem("“{” inside braces: write “\\{” for the character"));
        }
        if let Some((_, third)) = braces.next() {
            return Err(third.place.problem(
                "a second brace: write “\\{” or “\\}” for the character; two questions need a \
                 blank line between them",
            ));
        }
        Ok(Self {
            before: trimmed_start(&text[..open]),
            braced: &text[open + 1..close],
            after: &text[close + 1..],
        })
    }
}

fn trimmed_start(text: Text<'_>) -> Text<'_> {
    let start = text.iter().position(|symbol| !is_blank(symbol.char)).unwrap_or(text.len());
    &text[start..]
}

/// The text around the braces, with a blank for them if anything follows.
fn stem(before: Text<'_>, after: Text<'_>) -> String {
    if after.is_empty() {
        return plain(before);
    }
    let chars = |text: Text<'_>| text.iter().map(|symbol| symbol.char).collect::<String>();
    let stem = chars(before) + BLANK + &chars(after);
    stem.trim_matches(is_blank).to_owned()
}

/// The format that `text` begins with, and the rest.
fn marker(text: Text<'_>) -> (Option<TextFormat>, Text<'_>) {
    MARKERS
        .into_iter()
        .find(|(name, _)| starts_with(text, name))
        .map_or((None, text), |(name, format)| (Some(format), &text[name.len()..]))
}

/// The marker that [`marker`] reads as `format`.
pub(super) fn marker_of(format: TextFormat) -> &'static str {
    match format {
        TextFormat::Html => "[html]",
        TextFormat::Markdown => "[markdown]",
        TextFormat::Plain => "[plain]",
    }
}

/// The characters of an option or feedback in a question of `format`.
pub(super) fn formatted(text: Text<'_>, format: TextFormat) -> Result<String, Problem> {
    let text = trimmed(text);
    match marker(text) {
        (Some(own), _) if own != format => Err(text[0].place.problem(format!(
            "this text is of another format than the stem: begin both with {} or neither",
            marker_of(own)
        ))),
        (_, rest) => Ok(plain(rest)),
    }
}
