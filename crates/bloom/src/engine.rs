use std::{borrow::Cow, collections::HashMap, io, path::Path, sync::Arc};

use quizmentor_core::{Level, Question, limits};

use crate::{
    Arithmetic, Classification, Error, Explanation, Influence, Validation, Verdict,
    artifact::Artifact,
    cache::Cache,
    cascade::{Cascade, Judgement},
    explanation,
    kernel::Mapped,
    language, screen,
    tokens::{TextTokenizer, Tokens},
    validation,
    words::WordVectors,
};

/// Memory for classifications that are remembered, in bytes.
const CACHE_BYTES: usize = 8 * 1024 * 1024;
/// A text counts as an objective from this share of its route on, if it asks nothing.
const OBJECTIVE_SHARE: f32 = 0.5;

/// The model, ready to use. Shared by reference or [`std::sync::Arc`] among threads; the work is
/// done on the thread that calls.
#[derive(Debug)]
pub struct Engine {
    version: String,
    threshold: f32,
    abstain: f32,
    tokenizer: TextTokenizer,
    cascade: Cascade,
    words: WordVectors,
    cache: Cache,
    files: [Arc<Mapped>; 3],
}

/// Classification and embedding of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// Levels, verdict and language.
    pub classification: Classification,
    /// Unit vector of [`Engine::dimensions`] values. Texts that are alike have a cosine near 1;
    /// how well that holds is in the model's card. All 0 for a text without a known word.
    pub embedding: Vec<f32>,
}

impl Engine {
    /// Maps the artifact in `dir` into memory: `config.json`, `tokenizer.json`,
    /// `student.safetensors`, `model.safetensors`, `words.safetensors`. Where there is a file
    /// `SHA256SUMS` (in the format of `sha256sum`), it must describe these files. They must not be
    /// rewritten in place while the engine lives.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] or [`Error::Artifact`], which name the file.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        Self::load_with(dir, Arithmetic::default())
    }

    /// As [`Self::load`], with the arithmetic named.
    ///
    /// # Errors
    ///
    /// As for [`Self::load`].
    pub fn load_with(dir: &Path, arithmetic: Arithmetic) -> Result<Self, Error> {
        let artifact = Artifact::read(dir)?;
        let config = &artifact.config;
        Ok(Self {
            version: config.version.clone(),
            threshold: config.threshold,
            abstain: config.abstain,
            tokenizer: artifact.tokenizer()?,
            cascade: Cascade::new(arithmetic, &artifact)?,
            words: WordVectors::new(config, &artifact.words)?,
            cache: Cache::new(CACHE_BYTES),
            files: artifact.files(),
        })
    }

    /// Keeps the model's files in memory from now on, so that no answer waits for the disk.
    ///
    /// # Errors
    ///
    /// What the system says, for one when the files (about 35 MB) are over the process's limit of
    /// locked memory.
    pub fn lock_memory(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|file| file.lock())
    }

    /// Version of the model, as in its configuration.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Length of an embedding.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.words.dimensions()
    }

    /// Classifies texts of any kind, in order. The outcome for a text does not depend on the texts
    /// beside it. A text that was seen lately costs next to nothing.
    #[must_use]
    pub fn classify(&self, texts: &[&str]) -> Vec<Classification> {
        let texts: Vec<Cow<'_, str>> = texts.iter().map(|text| screen::normalized(text)).collect();
        let mut found = self.cache.get(&texts);
        let mut missing = HashMap::new();
        for (text, _) in texts.iter().zip(&found).filter(|(_, found)| found.is_none()) {
            let next = missing.len();
            missing.entry(&**text).or_insert(next);
        }
        let mut fresh: Vec<&str> = vec![""; missing.len()];
        missing.iter().for_each(|(text, &at)| fresh[at] = text);
        let computed = self.classify_anew(&fresh);
        for (text, classification) in fresh.iter().zip(&computed) {
            self.cache.put(text, classification);
        }
        for (text, found) in texts.iter().zip(&mut found) {
            found.get_or_insert_with(|| computed[missing[&**text]].clone());
        }
        found.into_iter().flatten().collect()
    }

    /// Texts whose classification was remembered and texts that had to be read, since the start.
    #[must_use]
    pub fn cache_counts(&self) -> (u64, u64) {
        self.cache.counts()
    }

    /// How much each of the first words of a text speaks for its most probable level, by leaving
    /// it out. Takes as long as classifying as many texts as there are words, at most 48.
    #[must_use]
    pub fn explain(&self, text: &str) -> Explanation {
        let text = screen::normalized(text);
        let whole = self.judge(&[&text]).remove(0);
        let level = top(&whole.probabilities);
        let (words, texts): (Vec<_>, Vec<_>) =
            explanation::occluded(screen::beginning(&text)).into_iter().unzip();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let tokens = self.tokens(&texts);
        // The network that answered is the one to explain.
        let judgements = self.cascade.judge_by(whole.stage, &ids(&tokens));
        let influence = |judgement: Judgement| {
            explanation::influence(whole.probabilities[level], judgement.probabilities[level])
        };
        let words = words.into_iter().zip(judgements);
        Explanation {
            level: Level::ALL[level],
            words: words
                .map(|(word, without)| Influence {
                    word: word.to_owned(),
                    influence: influence(without),
                })
                .collect(),
        }
    }

    /// Unit vectors of [`Self::dimensions`] values, in order. Takes microseconds a text.
    #[must_use]
    pub fn embed(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        let tokens = self.tokens(texts);
        tokens.iter().map(|tokens| self.words.embedding(&tokens.ids)).collect()
    }

    /// Classifies and embeds texts of any kind, in order.
    #[must_use]
    pub fn analyze(&self, texts: &[&str]) -> Vec<Analysis> {
        self.classify(texts)
            .into_iter()
            .zip(self.embed(texts))
            .map(|(classification, embedding)| Analysis { classification, embedding })
            .collect()
    }

    /// Checks a question's level and craft.
    #[must_use]
    pub fn validate(&self, question: &Question) -> Validation {
        let text = validation::text_to_classify(question);
        let classification = self.classify(&[&text]).remove(0);
        validation::validate(question, classification)
    }

    /// What the networks say, past the cache.
    pub(crate) fn judge(&self, texts: &[&str]) -> Vec<Judgement> {
        self.cascade.judge(&ids(&self.tokens(texts)))
    }

    /// Whether no level is probable enough to be relied on.
    pub(crate) fn is_unsure(&self, probabilities: &[f32; 6]) -> bool {
        probabilities[top(probabilities)] < self.abstain
    }

    /// The levels that count as present: those that reach the threshold, else the top one.
    pub(crate) fn decide(&self, probabilities: &[f32; 6]) -> [bool; 6] {
        let chosen = probabilities.map(|p| p >= self.threshold);
        if chosen.contains(&true) {
            return chosen;
        }
        std::array::from_fn(|level| level == top(probabilities))
    }

    fn tokens(&self, texts: &[&str]) -> Vec<Tokens> {
        let read = |text: &&str| {
            let beginning = screen::beginning(text);
            let tokens = self.tokenizer.encode(beginning);
            Tokens { truncated: tokens.truncated || beginning.len() < text.len(), ..tokens }
        };
        texts.iter().map(read).collect()
    }

    fn classify_anew(&self, texts: &[&str]) -> Vec<Classification> {
        let tokens = self.tokens(texts);
        let judgements = self.cascade.judge(&ids(&tokens));
        let read = texts.iter().zip(&tokens).zip(judgements);
        read.map(|((text, tokens), judgement)| self.describe(text, tokens, judgement)).collect()
    }

    fn describe(&self, text: &str, tokens: &Tokens, judgement: Judgement) -> Classification {
        let probabilities = judgement.probabilities;
        let beginning = screen::beginning(text);
        let language = language::detect(beginning);
        let verdict = if let Some(reason) = screen::not_a_question(beginning) {
            Verdict::NotAQuestion { reason }
        } else if text.len() > limits::CLASSIFY_TEXT {
            Verdict::TooLong
        } else if !language.known {
            Verdict::OtherLanguage
        } else if judgement.objective >= OBJECTIVE_SHARE && !text.contains('?') {
            Verdict::Objective
        } else {
            Verdict::Question
        };
        let mut levels = Level::ALL.to_vec();
        let chosen = self.decide(&probabilities);
        levels.retain(|level| chosen[level.index()]);
        if matches!(verdict, Verdict::NotAQuestion { .. }) {
            levels.clear();
        }
        Classification {
            verdict,
            top: Level::ALL[top(&probabilities)],
            unsure: self.is_unsure(&probabilities),
            levels,
            probabilities: probabilities.into(),
            language,
            truncated: tokens.truncated,
        }
    }
}

/// Index of the greatest probability; of equals the first.
pub(crate) fn top(probabilities: &[f32; 6]) -> usize {
    (1..6).fold(
        0,
        |best, level| if probabilities[level] > probabilities[best] { level } else { best },
    )
}

fn ids(tokens: &[Tokens]) -> Vec<&[u32]> {
    tokens.iter().map(|tokens| &*tokens.ids).collect()
}
