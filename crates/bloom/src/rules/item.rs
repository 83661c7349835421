use std::borrow::Cow;

use quizmentor_core::{Body, Question, TextFormat};

/// A question as the rules read it.
pub(crate) struct Item<'a> {
    pub(crate) question: &'a Question,
    /// Without mark-up.
    pub(crate) stem: String,
    /// Of choice questions; empty for the others.
    pub(crate) options: Vec<ItemOption>,
}

/// An option of a choice question.
pub(crate) struct ItemOption {
    /// Path of its text in the question.
    pub(crate) field: String,
    /// Without mark-up.
    pub(crate) text: String,
    /// Whether choosing it earns credit.
    pub(crate) is_key: bool,
}

impl<'a> Item<'a> {
    pub(crate) fn new(question: &'a Question) -> Self {
        let choices = match &question.body {
            Body::SingleChoice { options } | Body::MultipleChoice { options } => options.as_slice(),
            _ => &[],
        };
        let options = choices.iter().enumerate().map(|(index, choice)| ItemOption {
            field: format!("body.options[{index}].text"),
            text: plain(&choice.text, question.format),
            is_key: choice.credit > 0.0,
        });
        Self { question, stem: plain(&question.stem, question.format), options: options.collect() }
    }

    /// The options that earn credit.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ItemOption> {
        self.options.iter().filter(|option| option.is_key)
    }

    /// The options that earn none.
    pub(super) fn distractors(&self) -> impl Iterator<Item = &ItemOption> {
        self.options.iter().filter(|option| !option.is_key)
    }

    /// Every text that a learner reads, with its path.
    pub(super) fn texts(&self) -> Vec<(Cow<'static, str>, &str)> {
        let mut texts = vec![
            ("stem".into(), self.question.stem.as_str()),
            ("explanation".into(), self.question.explanation.as_str()),
        ];
        match &self.question.body {
            Body::SingleChoice { options } | Body::MultipleChoice { options } => {
                for (index, option) in options.iter().enumerate() {
                    texts.push((format!("body.options[{index}].text").into(), &option.text));
                }
            }
            Body::Matching { pairs } => {
                for (index, pair) in pairs.iter().enumerate() {
                    texts.push((format!("body.pairs[{index}].prompt").into(), &pair.prompt));
                    texts.push((format!("body.pairs[{index}].answer").into(), &pair.answer));
                }
            }
            Body::TrueFalse { .. }
            | Body::ShortAnswer { .. }
            | Body::Numerical { .. }
            | Body::Essay => {}
        }
        texts
    }
}

/// The words of a text without its mark-up.
fn plain(text: &str, format: TextFormat) -> String {
    match format {
        TextFormat::Plain => text.to_owned(),
        TextFormat::Markdown => text.replace("**", "").replace("__", "").replace(['*', '`'], ""),
        TextFormat::Html => without_tags(text),
    }
}

fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        let after = &rest[start..];
        let opens = after[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
        match after.find('>').filter(|_| opens) {
            Some(end) => {
                text.push(' ');
                rest = &after[end + 1..];
            }
            None => {
                text.push('<');
                rest = &after[1..];
            }
        }
    }
    text.push_str(rest);
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&nbsp;", " "), ("&amp;", "&")]
    {
        text = text.replace(entity, character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_go_and_comparisons_stay() {
        assert_eq!(without_tags("a <b>bold</b> x &lt; y").trim(), "a  bold  x < y");
        assert_eq!(without_tags("1 < 2 > 1"), "1 < 2 > 1");
        assert_eq!(without_tags("open <b"), "open <b");
        assert_eq!(plain("**NOT** `x`", TextFormat::Markdown), "NOT x");
        assert_eq!(plain("2 ** 3", TextFormat::Plain), "2 ** 3");
    }
}
