//! The index of the items that may be asked, held in memory.

use std::collections::HashMap;

use quizmentor_core::{Body, Level, Question, QuestionId, SkillId, Status};
use serde::{Deserialize, Serialize};

use crate::{ItemKey, SkillKey, keys::KeyMap};

/// What the engine needs to know of an item, by keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The item's key.
    pub key: ItemKey,
    /// Skills it exercises; none stands for one skill that all such items share.
    pub skills: Vec<SkillKey>,
    /// Bloom level.
    pub level: Option<Level>,
    /// Probability that a guess is right, [0, 1).
    pub guess: f32,
    /// Difficulty that the author expects, 1 (easy) to 5 (hard).
    pub difficulty: Option<u8>,
    /// Milliseconds that an answer usually takes.
    pub expected_ms: u32,
    /// Items whose texts are nearest in meaning, for the time before anyone answered.
    pub neighbours: Vec<Neighbour>,
    /// Whether it is on trial: shown, but not scored.
    pub pilot: bool,
}

/// An item with a similar text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The item.
    pub key: ItemKey,
    /// Cosine similarity of the texts' embeddings, −1 to 1.
    pub similarity: f32,
}

impl Item {
    /// An item of which nothing but its skills is known.
    #[must_use]
    pub fn bare(key: ItemKey, skills: Vec<SkillKey>) -> Self {
        Self {
            key,
            skills,
            level: None,
            guess: 0.0,
            difficulty: None,
            expected_ms: 20_000,
            neighbours: Vec::new(),
            pilot: false,
        }
    }
}

/// An item as the catalogue takes it in, by identifiers.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The question.
    pub id: QuestionId,
    /// Skills it exercises, the leading one first.
    pub skills: Vec<SkillId>,
    /// Bloom level: the author's, or the classifier's where the author states none.
    pub level: Option<Level>,
    /// Probability that a guess is right, [0, 1).
    pub guess: f64,
    /// Difficulty that the author expects, 1 (easy) to 5 (hard).
    pub difficulty: Option<u8>,
    /// Milliseconds that an answer usually takes.
    pub expected_ms: u32,
    /// Questions whose texts are nearest in meaning, with the cosine similarity.
    pub neighbours: Vec<(QuestionId, f32)>,
    /// Whether it is on trial: shown, but not scored.
    pub pilot: bool,
}

impl Entry {
    /// The entry of a question, without neighbours; `None` when learners may not get it.
    #[must_use]
    pub fn of(question: &Question) -> Option<Self> {
        if !question.is_askable() {
            return None;
        }
        Some(Self {
            id: question.id.clone(),
            skills: vec![question.skill.clone()],
            level: question.level,
            guess: question.body.guess_probability(),
            difficulty: question.difficulty,
            expected_ms: expected_ms(question),
            neighbours: Vec::new(),
            pilot: question.status == Status::Pilot,
        })
    }

    fn item(&self) -> Item {
        Item {
            key: ItemKey::from(&self.id),
            skills: self.skills.iter().map(SkillKey::from).collect(),
            level: self.level,
            guess: self.guess.clamp(0.0, 0.9) as f32,
            difficulty: self.difficulty,
            expected_ms: self.expected_ms,
            neighbours: self
                .neighbours
                .iter()
                .map(|(id, similarity)| Neighbour { key: id.into(), similarity: *similarity })
                .collect(),
            pilot: self.pilot,
        }
    }
}

/// Reading at 15 characters a second, and time to think that grows with the Bloom level.
fn expected_ms(question: &Question) -> u32 {
    let options: usize = match &question.body {
        Body::SingleChoice { options } | Body::MultipleChoice { options } => {
            options.iter().map(|o| o.text.len()).sum()
        }
        Body::Matching { pairs } => pairs.iter().map(|p| p.prompt.len() + p.answer.len()).sum(),
        _ => 0,
    };
    let reading = (question.stem.len() + options) as u32 * 1000 / 15;
    let thinking = 6_000 + 3_000 * question.level.map_or(1, Level::index) as u32;
    reading.saturating_add(thinking).min(600_000)
}

/// A skill of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Skill {
    /// Its identifier; the first part is the subject.
    pub id: SkillId,
    /// Its key.
    pub key: SkillKey,
    /// Dense indices of the items that exercise it, ascending.
    pub items: Vec<u32>,
}

/// The items that may be asked. An item has a dense index, valid for this catalogue alone; states
/// and models refer to keys, so a new catalogue loses nothing.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    ids: Vec<QuestionId>,
    items: Vec<Item>,
    skills: Vec<Skill>,
    by_id: HashMap<QuestionId, u32>,
    by_key: KeyMap<ItemKey, u32>,
    skill_by_key: KeyMap<SkillKey, u32>,
}

impl Catalog {
    /// Indexes `entries`; of two with one id the later one counts.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut catalog = Self::default();
        let mut latest: Vec<Entry> = Vec::new();
        for entry in entries {
            match catalog.by_id.get(&entry.id) {
                Some(&index) => latest[index as usize] = entry,
                None => {
                    catalog.by_id.insert(entry.id.clone(), latest.len() as u32);
                    latest.push(entry);
                }
            }
        }
        for entry in latest {
            catalog.add(entry);
        }
        catalog
    }

    fn add(&mut self, entry: Entry) {
        let index = self.items.len() as u32;
        let item = entry.item();
        self.by_key.insert(item.key, index);
        for id in entry.skills {
            let key = SkillKey::from(&id);
            let next = self.skills.len() as u32;
            let at = *self.skill_by_key.entry(key).or_insert(next);
            if at == next {
                self.skills.push(Skill { id, key, items: Vec::new() });
            }
            self.skills[at as usize].items.push(index);
        }
        self.ids.push(entry.id);
        self.items.push(item);
    }

    /// The catalogue of those of `questions` that learners may get.
    #[must_use]
    pub fn of<'a>(questions: impl IntoIterator<Item = &'a Question>) -> Self {
        Self::new(questions.into_iter().filter_map(Entry::of))
    }

    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items by dense index.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The item of a question.
    #[must_use]
    pub fn item(&self, id: &QuestionId) -> Option<&Item> {
        self.index_of(id).map(|index| &self.items[index as usize])
    }

    /// The dense index of a question.
    #[must_use]
    pub fn index_of(&self, id: &QuestionId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// The dense index of an item key.
    #[must_use]
    pub fn index_of_key(&self, key: ItemKey) -> Option<u32> {
        self.by_key.get(&key).copied()
    }

    /// The question at a dense index below [`len`](Self::len).
    ///
    /// # Panics
    /// When `index` is out of range.
    #[must_use]
    pub fn id(&self, index: u32) -> &QuestionId {
        &self.ids[index as usize]
    }

    /// All skills, in the order in which they first came up.
    #[must_use]
    pub fn skills(&self) -> &[Skill] {
        &self.skills
    }

    /// The skill with `key`.
    #[must_use]
    pub fn skill(&self, key: SkillKey) -> Option<&Skill> {
        self.skill_position(key).map(|at| &self.skills[at])
    }

    /// Where the skill with `key` stands among [`skills`](Self::skills).
    #[must_use]
    pub fn skill_position(&self, key: SkillKey) -> Option<usize> {
        self.skill_by_key.get(&key).map(|&at| at as usize)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(id: &str, skill: &str, level: Level, difficulty: u8) -> Entry {
        Entry {
            id: QuestionId::new(id).unwrap(),
            skills: vec![SkillId::new(skill).unwrap()],
            level: Some(level),
            guess: 0.25,
            difficulty: Some(difficulty),
            expected_ms: 15_000,
            neighbours: Vec::new(),
            pilot: false,
        }
    }

    #[test]
    fn a_later_entry_replaces_an_earlier_one() {
        let catalog = Catalog::new([
            entry("q1", "bio/cell", Level::Remember, 1),
            entry("q2", "bio/cell", Level::Apply, 2),
            entry("q1", "bio/gene", Level::Remember, 5),
        ]);
        assert_eq!(catalog.len(), 2);
        let q1 = QuestionId::new("q1").unwrap();
        assert_eq!(catalog.item(&q1).unwrap().difficulty, Some(5));
        assert_eq!(catalog.index_of_key(ItemKey::from(&q1)), catalog.index_of(&q1));
        let cell = SkillKey::from(&SkillId::new("bio/cell").unwrap());
        assert_eq!(catalog.skill(cell).unwrap().items, [1]);
    }
}
