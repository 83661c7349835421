//! Labels in comments: `// [id:…] [tag:…]`.

use quizmentor_core::{Level, QuestionId, SkillId, Status, UnknownLevel};

use crate::{
    Problem,
    gift::symbol::{Text, plain, split_once, starts_with},
    import::{Place, excerpt},
};

/// What a question's comments say of it.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Where the first label stands.
    pub(super) place: Option<Place>,
    pub(super) id: Option<QuestionId>,
    pub(super) skill: Option<SkillId>,
    pub(super) level: Option<Level>,
    pub(super) difficulty: Option<u8>,
    pub(super) status: Option<Status>,
    pub(super) tags: Vec<String>,
}

impl Labels {
    /// Reads comment lines; labels that cannot be used are handed to `report`.
    pub(super) fn read(comment: Text<'_>, mut report: impl FnMut(Problem)) -> Self {
        let mut labels = Self::default();
        for line in comment.split(|symbol| symbol.char == '\n') {
            let mut rest = line;
            while let Some(start) = rest.iter().position(|symbol| symbol.is('[')) {
                rest = &rest[start..];
                let place = rest[0].place;
                let Some(kind) = Kind::of(rest) else {
                    rest = &rest[1..];
                    continue;
                };
                labels.place.get_or_insert(place);
                let Some((label, after)) = split_once(rest, "]") else {
                    report(place.problem("this label is ignored: close it with “]”"));
                    break;
                };
                let value = plain(&label[kind.prefix().len()..]);
                if let Err(reason) = labels.set(kind, value) {
                    report(place.problem(format!("this label is ignored: {reason}")));
                }
                rest = after;
            }
        }
        labels
    }

    fn set(&mut self, kind: Kind, value: String) -> Result<(), String> {
        if value.is_empty() {
            return Err("it is empty; remove it or give it a text".to_owned());
        }
        if kind == Kind::Id {
            return fill(&mut self.id, QuestionId::new(value).map_err(|e| e.to_string()));
        }
        let (key, detail) = value.split_once(':').unwrap_or((&value, ""));
        let detail = detail.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "bloom" => fill(
                &mut self.level,
                detail.parse().map_err(|_| UnknownLevel(excerpt(detail)).to_string()),
            ),
            "difficulty" => fill(&mut self.difficulty, difficulty(detail)),
            "status" => fill(&mut self.status, status(detail)),
            "skill" => fill(&mut self.skill, SkillId::new(detail).map_err(|e| e.to_string())),
            _ => {
                self.tags.push(value);
                Ok(())
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Id,
    Tag,
}

impl Kind {
    fn of(text: Text<'_>) -> Option<Self> {
        [Self::Id, Self::Tag].into_iter().find(|kind| starts_with(text, kind.prefix()))
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Id => "[id:",
            Self::Tag => "[tag:",
        }
    }
}

fn fill<T>(field: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    let value = value?;
    if field.is_some() {
        return Err("the question already has one of this kind; keep one".to_owned());
    }
    *field = Some(value);
    Ok(())
}

fn difficulty(text: &str) -> Result<u8, String> {
    text.parse().ok().filter(|value| (1..=5).contains(value)).ok_or_else(|| {
        format!("unknown difficulty “{}”; expected 1 (easy) to 5 (hard)", excerpt(text))
    })
}

fn status(text: &str) -> Result<Status, String> {
    [Status::Draft, Status::Published, Status::Pilot, Status::Archived]
        .into_iter()
        .find(|status| status.name() == text)
        .ok_or_else(|| {
            format!(
                "unknown status “{}”; expected draft, published, pilot or archived",
                excerpt(text)
            )
        })
}
