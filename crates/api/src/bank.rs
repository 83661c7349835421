//! The question bank in RAM: every question, the adaptive engine over it, and the list of
//! subjects. Built from the records, replaced as a whole when questions or the model change.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use quizmentor_adaptive::{Catalog, Engine, Entry, Model, Statistics, paths::SkillGraph};
use quizmentor_core::{Level, Question, QuestionId, SkillId, Status};
use quizmentor_store::records::{Prerequisites, Records};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Questions fetched from the records at a time.
const CHUNK: usize = 1_000;

/// A view of the whole bank at one revision.
#[derive(Debug, Clone)]
pub(crate) struct Bank {
    /// By id; archived ones and drafts too.
    pub(crate) questions: Arc<HashMap<QuestionId, Arc<Question>>>,
    /// [`Question::content_id`] of each.
    contents: Arc<HashMap<QuestionId, Uuid>>,
    /// The questions that can be asked, and what is known of them.
    pub(crate) engine: Engine,
    /// How the questions do.
    pub(crate) statistics: Arc<Statistics>,
    /// What can be practised.
    pub(crate) subjects: Arc<[Subject]>,
    /// What the Bloom engine found out.
    pub(crate) hints: Arc<HashMap<QuestionId, Hint>>,
    /// Which skills come before which.
    pub(crate) prerequisites: Arc<Prerequisites>,
    /// The same as a graph.
    pub(crate) graph: Arc<SkillGraph>,
    /// Last change of a question included.
    pub(crate) revision: u64,
}

/// What the Bloom engine tells the adaptive engine of a question.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hint {
    /// Its level, where the author states none.
    pub(crate) level: Option<Level>,
    /// Questions with similar texts, with the cosine similarity, where nobody answered it yet.
    pub(crate) neighbours: Vec<(QuestionId, f32)>,
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
    pub(crate) fn empty(model: Arc<Model>, statistics: Arc<Statistics>) -> Self {
        Self {
            questions: Arc::default(),
            contents: Arc::default(),
            engine: Engine::new(Arc::default(), model),
            statistics,
            subjects: Arc::default(),
            hints: Arc::default(),
            prerequisites: Arc::default(),
            graph: Arc::default(),
            revision: 0,
        }
    }

    /// The same questions with another model.
    pub(crate) fn with_model(&self, model: Arc<Model>, statistics: Arc<Statistics>) -> Self {
        let engine = Engine::new(Arc::clone(self.engine.catalog()), model);
        Self { engine: engine.with_prerequisites(&self.graph), statistics, ..self.clone() }
    }

    /// The same questions with other hints.
    pub(crate) fn with_hints(&self, hints: HashMap<QuestionId, Hint>) -> Self {
        Self { hints: Arc::new(hints), ..self.clone() }.indexed()
    }

    /// The same questions with other prerequisites, of which `graph` was made.
    pub(crate) fn with_prerequisites(&self, of: Prerequisites, graph: SkillGraph) -> Self {
        let engine = self.engine.clone().with_prerequisites(&graph);
        Self { engine, prerequisites: Arc::new(of), graph: Arc::new(graph), ..self.clone() }
    }

    /// This bank with every later change of the records; `None` when there is none.
    pub(crate) async fn refreshed(
        &self,
        records: &dyn Records,
    ) -> quizmentor_store::Result<Option<Self>> {
        let mut revision = self.revision;
        let mut changed = None;
        loop {
            let changes = records.question_changes(revision, CHUNK).await?;
            let Some((last, _)) = changes.last() else { break };
            revision = *last;
            let (questions, contents) = changed.get_or_insert_with(|| {
                (HashMap::clone(&self.questions), HashMap::clone(&self.contents))
            });
            for (_, question) in changes {
                contents.insert(question.id.clone(), question.content_id());
                questions.insert(question.id.clone(), Arc::new(question));
            }
        }
        Ok(changed.map(|(questions, contents)| {
            let (questions, contents) = (Arc::new(questions), Arc::new(contents));
            Self { questions, contents, revision, ..self.clone() }.indexed()
        }))
    }

    /// Catalogue and subjects as they follow from questions and hints.
    fn indexed(self) -> Self {
        let mut askable: Vec<_> =
            self.questions.values().filter(|question| question.is_askable()).cloned().collect();
        askable.sort_by(|a, b| a.id.cmp(&b.id));
        let entries = askable.iter().filter_map(|question| {
            let entry = Entry::of(question)?;
            let Some(hint) = self.hints.get(&question.id) else { return Some(entry) };
            let level = entry.level.or(hint.level);
            Some(Entry { level, neighbours: hint.neighbours.clone(), ..entry })
        });
        let model = Arc::clone(self.engine.model());
        let engine = Engine::new(Arc::new(Catalog::new(entries)), model);
        askable.retain(|question| question.status == Status::Published);
        let subjects = subjects(&askable).into();
        Self { engine: engine.with_prerequisites(&self.graph), subjects, ..self }
    }

    pub(crate) fn question(&self, id: &QuestionId) -> Option<&Arc<Question>> {
        self.questions.get(id)
    }

    /// The question's [`Question::content_id`].
    pub(crate) fn content(&self, id: &QuestionId) -> Option<Uuid> {
        self.contents.get(id).copied()
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
