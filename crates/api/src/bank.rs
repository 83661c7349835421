//! The question bank in RAM: every question, the adaptive engine over it, and the list of
//! subjects. Built from the records, replaced as a whole when questions or the model change.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use quizmentor_adaptive::{Catalog, Engine, Entry, Model};
use quizmentor_core::{Level, Question, QuestionId, SkillId};
use quizmentor_store::records::Records;
use serde::Serialize;
use utoipa::ToSchema;

/// Questions fetched from the records at a time.
const CHUNK: usize = 1_000;

/// A view of the whole bank at one revision.
#[derive(Debug)]
pub(crate) struct Bank {
    /// By id; archived ones and drafts too.
    pub(crate) questions: HashMap<QuestionId, Arc<Question>>,
    /// The questions that can be asked, and what is known of them.
    pub(crate) engine: Engine,
    /// What can be practised.
    pub(crate) subjects: Vec<Subject>,
    /// Levels found by the Bloom engine, of questions whose author states none.
    pub(crate) levels: HashMap<QuestionId, Level>,
    /// Last change included.
    pub(crate) revision: u64,
}

/// A subject that can be practised.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Subject {
    /// Slug.
    pub id: String,
    /// As people write it.
    pub name: String,
    /// Questions that can be asked.
    pub questions: usize,
    /// Its skills, by name.
    pub skills: Vec<Skill>,
}

/// A skill of a subject.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Skill {
    /// Slug with its subject's: `biology/cell-structure`.
    pub id: SkillId,
    /// As people write it.
    pub name: String,
    /// Questions that can be asked.
    pub questions: usize,
    /// Those by stated Bloom level, from remember to create.
    pub by_level: [usize; 6],
}

impl Bank {
    /// A bank without questions.
    pub(crate) fn empty(model: Arc<Model>) -> Self {
        Self::of(HashMap::new(), HashMap::new(), 0, model)
    }

    /// The same questions with another model.
    pub(crate) fn with_model(&self, model: Arc<Model>) -> Self {
        Self {
            questions: self.questions.clone(),
            engine: Engine::new(Arc::clone(self.engine.catalog()), model),
            subjects: self.subjects.clone(),
            levels: self.levels.clone(),
            revision: self.revision,
        }
    }

    /// The same questions with other levels found.
    pub(crate) fn with_levels(&self, levels: HashMap<QuestionId, Level>) -> Self {
        let model = Arc::clone(self.engine.model());
        Self::of(self.questions.clone(), levels, self.revision, model)
    }

    /// This bank with every later change of the records; `None` when there is none.
    pub(crate) async fn refreshed(
        &self,
        records: &dyn Records,
    ) -> quizmentor_store::Result<Option<Self>> {
        let mut revision = self.revision;
        let mut questions = None;
        loop {
            let changes = records.question_changes(revision, CHUNK).await?;
            let Some((last, _)) = changes.last() else { break };
            revision = *last;
            let questions = questions.get_or_insert_with(|| self.questions.clone());
            for (_, question) in changes {
                questions.insert(question.id.clone(), Arc::new(question));
            }
        }
        let model = Arc::clone(self.engine.model());
        Ok(questions.map(|questions| Self::of(questions, self.levels.clone(), revision, model)))
    }

    fn of(
        questions: HashMap<QuestionId, Arc<Question>>,
        levels: HashMap<QuestionId, Level>,
        revision: u64,
        model: Arc<Model>,
    ) -> Self {
        let mut askable: Vec<_> =
            questions.values().filter(|question| question.is_askable()).cloned().collect();
        askable.sort_by(|a, b| a.id.cmp(&b.id));
        let entries = askable.iter().filter_map(|question| {
            let entry = Entry::of(question)?;
            let level = entry.level.or_else(|| levels.get(&question.id).copied());
            Some(Entry { level, ..entry })
        });
        let engine = Engine::new(Arc::new(Catalog::new(entries)), model);
        let subjects = subjects(&askable);
        Self { questions, engine, subjects, levels, revision }
    }

    pub(crate) fn question(&self, id: &QuestionId) -> Option<&Arc<Question>> {
        self.questions.get(id)
    }

    pub(crate) fn has_subject(&self, id: &str) -> bool {
        self.subjects.iter().any(|subject| subject.id == id)
    }

    pub(crate) fn has_skill(&self, id: &SkillId) -> bool {
        self.subjects.iter().flat_map(|subject| &subject.skills).any(|skill| skill.id == *id)
    }
}

fn subjects(askable: &[Arc<Question>]) -> Vec<Subject> {
    let mut by_subject: BTreeMap<&str, (&str, BTreeMap<&SkillId, Skill>)> = BTreeMap::new();
    for question in askable {
        let (_, skills) = by_subject
            .entry(question.subject())
            .or_insert_with(|| (&question.subject_name, BTreeMap::new()));
        let skill = skills.entry(&question.skill).or_insert_with(|| Skill {
            id: question.skill.clone(),
            name: question.skill_name.clone(),
            questions: 0,
            by_level: [0; 6],
        });
        skill.questions += 1;
        if let Some(level) = question.level {
            skill.by_level[Level::index(level)] += 1;
        }
    }
    by_subject
        .into_iter()
        .map(|(id, (name, skills))| Subject {
            id: id.to_owned(),
            name: name.to_owned(),
            questions: skills.values().map(|skill| skill.questions).sum(),
            skills: skills.into_values().collect(),
        })
        .collect()
}
