use std::{
    collections::HashMap,
    num::NonZero,
    path::Path,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;
use quizmentor_core::{Level, Question, limits};

use crate::{
    Classification, Error, Validation, Verdict,
    artifact::Artifact,
    encoder::Encoder,
    heads::{Heads, Judgement},
    language, screen,
    tokens::{TextTokenizer, Tokens},
    validation,
    words::WordVectors,
    workers::Workers,
};

/// Most tokens that go through the encoder at once: enough to keep the matrix products busy,
/// few enough that activations stay near the core.
const BATCH_TOKENS: usize = 512;
/// Texts whose outcome is remembered; each takes at most 600 bytes.
const CACHE_TEXTS: NonZero<usize> = NonZero::new(4096).expect("not 0");
/// A text counts as an objective from this share of the gate on, if it asks nothing.
const OBJECTIVE_SHARE: f32 = 0.5;

/// The model, ready to use. Shared by reference or [`std::sync::Arc`] among threads.
#[derive(Debug)]
pub struct Engine {
    version: String,
    threshold: f32,
    tokenizer: TextTokenizer,
    encoder: Encoder,
    heads: Heads,
    words: WordVectors,
    workers: Workers,
    /// By token ids: texts that the tokenizer maps to the same ids are the same to the model.
    cache: Mutex<LruCache<Box<[u32]>, Judgement>>,
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
    /// Reads the artifact in `dir`: `config.json`, `tokenizer.json`, `model.safetensors`,
    /// `words.safetensors`. Where there is a file `SHA256SUMS` (in the format of `sha256sum`), it
    /// must describe these files.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] or [`Error::Artifact`], which name the file; [`Error::Threads`] if the
    /// system gives no threads.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let artifact = Artifact::read(dir)?;
        let tokenizer = TextTokenizer::new(&artifact)?;
        let tensors = artifact.tensors()?;
        let config = &artifact.config;
        let engine = Self {
            version: config.version.clone(),
            threshold: config.threshold,
            tokenizer,
            encoder: Encoder::new(&config.encoder, &tensors)?,
            heads: Heads::new(config, &tensors)?,
            words: WordVectors::new(config, &artifact.words()?)?,
            workers: Workers::new()?,
            cache: Mutex::new(LruCache::new(CACHE_TEXTS)),
        };
        Ok(engine)
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

    /// Classifies texts of any kind, in order.
    #[must_use]
    pub fn classify(&self, texts: &[&str]) -> Vec<Classification> {
        self.analyze(texts).into_iter().map(|analysis| analysis.classification).collect()
    }

    /// Unit vectors of [`Self::dimensions`] values, in order. Takes microseconds a text.
    #[must_use]
    pub fn embed(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        let tokens = self.tokens(texts);
        tokens.iter().map(|tokens| self.words.embedding(&tokens.ids)).collect()
    }

    /// Classifies and embeds texts of any kind, in order. The outcome for a text does not depend
    /// on the texts beside it (to 1e-5). A text that was seen lately costs next to nothing.
    #[must_use]
    pub fn analyze(&self, texts: &[&str]) -> Vec<Analysis> {
        let tokens = self.tokens(texts);
        let judgements = self.judgements(&tokens);
        texts
            .iter()
            .zip(&tokens)
            .zip(judgements)
            .map(|((text, tokens), judgement)| Analysis {
                classification: self.describe(text, tokens, judgement),
                embedding: self.words.embedding(&tokens.ids),
            })
            .collect()
    }

    /// Checks a question's level and craft.
    #[must_use]
    pub fn validate(&self, question: &Question) -> Validation {
        let text = validation::text_to_classify(question);
        let classification = self.classify(&[&text]).remove(0);
        validation::validate(question, classification)
    }

    /// Probabilities by level, past the cache, on one thread.
    pub(crate) fn predict(&self, texts: &[&str]) -> Vec<[f32; 6]> {
        self.workers.run(|| {
            let tokens = self.tokens(texts);
            let ids: Vec<&[u32]> = tokens.iter().map(|tokens| &*tokens.ids).collect();
            self.compute(&ids).into_iter().map(|judgement| judgement.probabilities).collect()
        })
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

    fn judgements(&self, tokens: &[Tokens]) -> Vec<Judgement> {
        let mut known = HashMap::new();
        let mut missing = Vec::new();
        {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            for Tokens { ids, .. } in tokens {
                if known.contains_key(&**ids) {
                    continue;
                }
                let hit = cache.get(ids).copied();
                if hit.is_none() {
                    missing.push(&**ids);
                }
                known.insert(&**ids, hit);
            }
        }
        if !missing.is_empty() {
            let computed = self.workers.run(|| self.compute(&missing));
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            for (ids, judgement) in missing.into_iter().zip(computed) {
                cache.put(ids.into(), judgement);
                known.insert(ids, Some(judgement));
            }
        }
        tokens
            .iter()
            .map(|tokens| known[&*tokens.ids].expect("what was missing was computed"))
            .collect()
    }

    fn compute(&self, texts: &[&[u32]]) -> Vec<Judgement> {
        let mut judgements = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_len(rest));
            let pooled = self.encoder.pooled(batch).expect("shapes were checked on loading");
            judgements.extend(pooled.into_iter().map(|pooled| self.heads.judge(&pooled)));
            rest = after;
        }
        judgements
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

/// How many of the texts go into the next batch: at least one.
fn batch_len(texts: &[&[u32]]) -> usize {
    let mut tokens = 0;
    let fitting = texts.iter().take_while(|text| {
        tokens += text.len();
        tokens <= BATCH_TOKENS
    });
    fitting.count().max(1)
}
