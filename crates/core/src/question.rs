//! Questions: stem, options, key, explanation and what authors say of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::{Uuid, uuid};

use crate::{Level, QuestionId, SkillId, limits};

/// A question of the bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Unique in the bank.
    pub id: QuestionId,
    /// The skill that it exercises; its first part is the subject.
    pub skill: SkillId,
    /// Subject as people write it, for instance “Computer science”.
    pub subject_name: String,
    /// Skill as people write it.
    pub skill_name: String,
    /// Short name for lists.
    #[serde(default)]
    pub title: String,
    /// What is asked.
    pub stem: String,
    /// How `stem` and the other texts are marked up.
    #[serde(default)]
    pub format: TextFormat,
    /// Options and key.
    pub body: Body,
    /// Why the key is right; shown after the answer.
    #[serde(default)]
    pub explanation: String,
    /// Bloom level that the author states.
    #[serde(default)]
    pub level: Option<Level>,
    /// Difficulty that the author expects, 1 (easy) to 5 (hard).
    #[serde(default)]
    pub difficulty: Option<u8>,
    /// Free tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether learners may get it.
    #[serde(default)]
    pub status: Status,
}

/// Mark-up of a question's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TextFormat {
    /// Line breaks count, nothing else.
    #[default]
    Plain,
    /// Markdown.
    Markdown,
    /// HTML, shown without scripts.
    Html,
}

/// Whether learners may get a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being written; never chosen.
    Draft,
    /// Chosen.
    #[default]
    Published,
    /// On trial: shown to learners now and then, never scored, while its difficulty is found out.
    Pilot,
    /// Taken out; kept for the record.
    Archived,
}

impl Status {
    /// As it is written everywhere.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Pilot => "pilot",
            Self::Archived => "archived",
        }
    }
}

/// Options and key, by kind of question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Body {
    /// One option is to be chosen; exactly one has credit 1, others may have part of it.
    SingleChoice {
        /// In the author's order.
        options: Vec<Choice>,
    },
    /// Any number of options may be chosen; credits add up, the positive ones to 1.
    MultipleChoice {
        /// In the author's order.
        options: Vec<Choice>,
    },
    /// A statement to be judged.
    TrueFalse {
        /// Whether it is true.
        key: bool,
        /// Shown for a right answer.
        #[serde(default)]
        feedback_right: String,
        /// Shown for a wrong answer.
        #[serde(default)]
        feedback_wrong: String,
    },
    /// A word or phrase, compared without regard to case and outer white space; `*` stands for
    /// any run of characters.
    ShortAnswer {
        /// The first match decides.
        accepted: Vec<AcceptedText>,
    },
    /// A number.
    Numerical {
        /// The best credit of the matching ranges decides.
        accepted: Vec<AcceptedNumber>,
    },
    /// Each prompt gets its answer.
    Matching {
        /// In the author's order. A pair with an empty prompt is a distractor among the answers.
        pairs: Vec<Pair>,
    },
    /// A free text; not scored by the machine, hence never chosen in practice.
    Essay,
}

/// An option of a choice question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What the learner reads.
    pub text: String,
    /// Share of the credit, −1 to 1; 1 is the key.
    #[serde(default)]
    pub credit: f64,
    /// Shown to who chose it.
    #[serde(default)]
    pub feedback: String,
}

/// An accepted short answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptedText {
    /// Pattern to match.
    pub text: String,
    /// Share of the credit, 0 to 1.
    #[serde(default = "full")]
    pub credit: f64,
    /// Shown to who gave it.
    #[serde(default)]
    pub feedback: String,
}

/// An accepted range of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptedNumber {
    /// Least accepted value.
    pub min: f64,
    /// Greatest accepted value.
    pub max: f64,
    /// Share of the credit, 0 to 1.
    #[serde(default = "full")]
    pub credit: f64,
    /// Shown to who gave it.
    #[serde(default)]
    pub feedback: String,
}

/// A prompt and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Left side; empty for a distractor.
    pub prompt: String,
    /// Right side.
    pub answer: String,
}

fn full() -> f64 {
    1.0
}

/// Why a question cannot be accepted. `field` is a path such as `body.options[2].text`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Defect {
    /// Where it is.
    pub field: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Question {
    /// Subject slug.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.skill.subject()
    }

    /// Whether learners may get it: published or on trial, and scored by the machine.
    #[must_use]
    pub fn is_askable(&self) -> bool {
        matches!(self.status, Status::Published | Status::Pilot) && self.body != Body::Essay
    }

    /// A name of what learners are shown and scored by: it changes with stem, mark-up, options and
    /// key, and with nothing else.
    #[must_use]
    pub fn content_id(&self) -> Uuid {
        const NAMESPACE: Uuid = uuid!("0f9d4a52-5d0c-4b53-8b1f-7c7a2c1f3e60");
        let shown = serde_json::json!([self.stem, self.format, self.body]);
        Uuid::new_v5(&NAMESPACE, shown.to_string().as_bytes())
    }

    /// Every reason why the question cannot be accepted; empty when it is sound.
    #[must_use]
    pub fn defects(&self) -> Vec<Defect> {
        let mut found = Defects::default();
        found.text("subject_name", &self.subject_name, limits::TITLE, true);
        found.text("skill_name", &self.skill_name, limits::TITLE, true);
        found.text("title", &self.title, limits::TITLE, false);
        found.text("stem", &self.stem, limits::STEM, true);
        found.text("explanation", &self.explanation, limits::FEEDBACK, false);
        if self.difficulty.is_some_and(|d| !(1..=5).contains(&d)) {
            found.add("difficulty", "must be 1 (easy) to 5 (hard)");
        }
        if self.tags.len() > limits::TAGS {
            found.add("tags", format!("{} tags; at most {}", self.tags.len(), limits::TAGS));
        }
        for (i, tag) in self.tags.iter().enumerate() {
            found.text(&format!("tags[{i}]"), tag, limits::TAG, true);
        }
        self.body.collect_defects(&mut found);
        found.0
    }
}

impl Body {
    /// Probability that a guess is fully right: 1/options for choice questions, ½ for a
    /// statement, 0 where the answer is written.
    #[must_use]
    pub fn guess_probability(&self) -> f64 {
        match self {
            Self::SingleChoice { options } => 1.0 / options.len().max(1) as f64,
            Self::MultipleChoice { options } => 0.5_f64.powi(options.len() as i32),
            Self::TrueFalse { .. } => 0.5,
            Self::Matching { pairs } => (1..=pairs.len()).map(|n| 1.0 / n as f64).product::<f64>(),
            Self::ShortAnswer { .. } | Self::Numerical { .. } | Self::Essay => 0.0,
        }
    }

    fn collect_defects(&self, found: &mut Defects) {
        match self {
            Self::SingleChoice { options } => {
                found.choices(options);
                let keys = options.iter().filter(|o| o.credit == 1.0).count();
                if keys != 1 {
                    found.add(
                        "body.options",
                        format!("{keys} keys; exactly one option needs credit 1"),
                    );
                }
            }
            Self::MultipleChoice { options } => {
                found.choices(options);
                let sum: f64 = options.iter().map(|o| o.credit.max(0.0)).sum();
                if (sum - 1.0).abs() > 0.02 {
                    found
                        .add("body.options", format!("positive credits add up to {sum}, not to 1"));
                }
            }
            Self::TrueFalse { feedback_right, feedback_wrong, .. } => {
                found.text("body.feedback_right", feedback_right, limits::FEEDBACK, false);
                found.text("body.feedback_wrong", feedback_wrong, limits::FEEDBACK, false);
            }
            Self::ShortAnswer { accepted } => {
                found.count("body.accepted", accepted.len(), 1);
                for (i, a) in accepted.iter().enumerate() {
                    let at = format!("body.accepted[{i}]");
                    found.text(&format!("{at}.text"), &a.text, limits::OPTION, true);
                    found.text(&format!("{at}.feedback"), &a.feedback, limits::FEEDBACK, false);
                    found.credit(&at, a.credit, 0.0);
                }
                found.full_credit("body.accepted", accepted.iter().map(|a| a.credit));
            }
            Self::Numerical { accepted } => {
                found.count("body.accepted", accepted.len(), 1);
                for (i, a) in accepted.iter().enumerate() {
                    let at = format!("body.accepted[{i}]");
                    if !(a.min.is_finite() && a.max.is_finite() && a.min <= a.max) {
                        found.add(&at, "needs finite min ≤ max");
                    }
                    found.text(&format!("{at}.feedback"), &a.feedback, limits::FEEDBACK, false);
                    found.credit(&at, a.credit, 0.0);
                }
                found.full_credit("body.accepted", accepted.iter().map(|a| a.credit));
            }
            Self::Matching { pairs } => found.pairs(pairs),
            Self::Essay => {}
        }
    }
}

#[derive(Default)]
struct Defects(Vec<Defect>);

impl Defects {
    fn add(&mut self, field: &str, problem: impl Into<String>) {
        self.0.push(Defect { field: field.to_owned(), problem: problem.into() });
    }

    fn text(&mut self, field: &str, text: &str, limit: usize, required: bool) {
        if required && text.trim().is_empty() {
            self.add(field, "must not be empty");
        }
        if text.len() > limit {
            self.add(field, format!("{} bytes long; at most {limit} are allowed", text.len()));
        }
        if text.contains('\0') {
            self.add(field, "must not hold a NUL character");
        }
    }

    fn count(&mut self, field: &str, count: usize, least: usize) {
        if count < least || count > limits::OPTIONS {
            self.add(field, format!("{count} given; {least} to {} are allowed", limits::OPTIONS));
        }
    }

    fn credit(&mut self, field: &str, credit: f64, least: f64) {
        if !(least..=1.0).contains(&credit) {
            self.add(&format!("{field}.credit"), format!("must be {least} to 1"));
        }
    }

    fn full_credit(&mut self, field: &str, mut credits: impl Iterator<Item = f64>) {
        if !credits.any(|credit| credit == 1.0) {
            self.add(field, "no answer has the full credit of 1");
        }
    }

    fn choices(&mut self, options: &[Choice]) {
        self.count("body.options", options.len(), 2);
        for (i, option) in options.iter().enumerate() {
            let at = format!("body.options[{i}]");
            self.text(&format!("{at}.text"), &option.text, limits::OPTION, true);
            self.text(&format!("{at}.feedback"), &option.feedback, limits::FEEDBACK, false);
            self.credit(&at, option.credit, -1.0);
        }
    }

    fn pairs(&mut self, pairs: &[Pair]) {
        self.count("body.pairs", pairs.len(), 2);
        if pairs.iter().filter(|p| !p.prompt.is_empty()).count() < 2 {
            self.add("body.pairs", "at least two prompts are needed");
        }
        for (i, pair) in pairs.iter().enumerate() {
            let at = format!("body.pairs[{i}]");
            self.text(&format!("{at}.prompt"), &pair.prompt, limits::OPTION, false);
            self.text(&format!("{at}.answer"), &pair.answer, limits::OPTION, true);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn choice(text: &str, credit: f64) -> Choice {
        Choice { text: text.into(), credit, feedback: format!("about {text}") }
    }

    pub(crate) fn question(body: Body) -> Question {
        Question {
            id: QuestionId::new("q-1").unwrap(),
            skill: SkillId::new("biology/cells").unwrap(),
            subject_name: "Biology".into(),
            skill_name: "Cells".into(),
            title: String::new(),
            stem: "Which organelle makes most ATP?".into(),
            format: TextFormat::Plain,
            body,
            explanation: "Respiration ends there.".into(),
            level: Some(Level::Remember),
            difficulty: Some(1),
            tags: vec![],
            status: Status::Published,
        }
    }

    #[test]
    fn sound_questions_have_no_defects() {
        let options = vec![choice("Mitochondrion", 1.0), choice("Ribosome", 0.0)];
        assert_eq!(question(Body::SingleChoice { options }).defects(), []);
        assert_eq!(question(Body::Essay).defects(), []);
    }

    #[test]
    fn defects_name_their_place() {
        let mut bad = question(Body::SingleChoice {
            options: vec![choice("a", 1.0), choice("", 1.0), choice("c", f64::NAN)],
        });
        bad.stem = "x".repeat(limits::STEM + 1);
        bad.difficulty = Some(9);
        let fields: Vec<_> = bad.defects().into_iter().map(|d| d.field).collect();
        assert_eq!(
            fields,
            [
                "stem",
                "difficulty",
                "body.options[1].text",
                "body.options[2].credit",
                "body.options"
            ]
        );
    }

    #[test]
    fn the_content_is_what_learners_see_and_are_scored_by() {
        let options = vec![choice("a", 1.0), choice("b", 0.0)];
        let first = question(Body::SingleChoice { options: options.clone() });
        let retold = Question { explanation: "Because.".into(), ..first.clone() };
        assert_eq!(first.content_id(), retold.content_id());
        let swapped: Vec<_> = options.into_iter().rev().collect();
        let swapped = question(Body::SingleChoice { options: swapped });
        assert_ne!(first.content_id(), swapped.content_id());
    }

    #[test]
    fn unknown_fields_are_refused() {
        let mut json = serde_json::to_value(question(Body::Essay)).unwrap();
        json["keey"] = true.into();
        assert!(serde_json::from_value::<Question>(json).is_err());
        let body = r#"{"kind": "true_false", "key": true, "keey": false}"#;
        assert!(serde_json::from_str::<Body>(body).is_err());
    }
}
