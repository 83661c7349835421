//! From word pieces to calibrated probabilities: the student reads a text first, the encoder only
//! those of which the student is not certain.

use serde::Serialize;

use crate::{
    Arithmetic, Error,
    artifact::{Artifact, Calibration},
    encoder::{Encoder, spans},
    numbers::{logit, sigmoid},
    student::{Impression, Student},
};

/// Name of the head that learned how learning objectives are labelled.
const OBJECTIVES: &str = "objectives";
/// Most tokens that go through a network at once: enough to make use of each weight that is
/// fetched, few enough that what lies between two layers stays near the core.
const BLOCK: usize = 128;

/// Both networks and what joins them.
#[derive(Debug)]
pub(crate) struct Cascade {
    student: Student,
    encoder: Encoder,
    /// One linear head a labelling convention, `[heads, 6, hidden]`.
    heads: Vec<f32>,
    /// `[heads, 6]`
    bias: Vec<f32>,
    hidden: usize,
    calibration: Calibration,
    stop: f64,
    objectives: Option<usize>,
}

/// Which network gave the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    Student,
    Encoder,
}

/// What the networks say of one text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judgement {
    /// Calibrated, by level.
    pub(crate) probabilities: [f32; 6],
    /// How far the text is taken for a learning objective, 0 to 1.
    pub(crate) objective: f32,
    pub(crate) stage: Stage,
}

impl Cascade {
    pub(crate) fn new(arithmetic: Arithmetic, artifact: &Artifact) -> Result<Self, Error> {
        let config = &artifact.config;
        let (heads, hidden) = (config.heads.len(), config.encoder.hidden);
        let tensors = &artifact.encoder;
        Ok(Self {
            student: Student::new(arithmetic, config, &artifact.student)?,
            encoder: Encoder::new(arithmetic, &config.encoder, tensors)?,
            heads: tensors.floats("heads.weight", &[heads, 6, hidden])?,
            bias: tensors.floats("heads.bias", &[heads, 6])?,
            hidden,
            calibration: config.calibration.clone(),
            stop: config.stop,
            objectives: config.heads.iter().position(|name| name == OBJECTIVES),
        })
    }

    /// Judges texts, in order. Texts must be neither empty nor longer than `max_tokens`, ids below
    /// `vocabulary`. The outcome for a text does not depend on the texts beside it.
    pub(crate) fn judge(&self, texts: &[&[u32]]) -> Vec<Judgement> {
        self.judge_until(self.stop, texts)
    }

    /// Judges texts as one stage does, however certain the student is.
    pub(crate) fn judge_by(&self, stage: Stage, texts: &[&[u32]]) -> Vec<Judgement> {
        let stop = if stage == Stage::Student { 0.0 } else { f64::INFINITY };
        self.judge_until(stop, texts)
    }

    fn judge_until(&self, stop: f64, texts: &[&[u32]]) -> Vec<Judgement> {
        let mut impressions = Vec::with_capacity(texts.len());
        for block in blocks(texts) {
            impressions.extend(self.student.read(block, &spans(block)));
        }
        let mut judgements: Vec<_> =
            impressions.iter().map(|impression| self.first(impression)).collect();
        let open: Vec<usize> =
            (0..texts.len()).filter(|&text| impressions[text].certainty() < stop).collect();
        let open_texts: Vec<&[u32]> = open.iter().map(|&text| texts[text]).collect();
        let pooled =
            blocks(&open_texts).flat_map(|block| self.encoder.pooled(block, &spans(block)));
        for (&text, pooled) in open.iter().zip(pooled) {
            judgements[text] = self.second(&impressions[text], &pooled);
        }
        judgements
    }

    fn first(&self, impression: &Impression) -> Judgement {
        Judgement {
            probabilities: impression.probabilities.map(|p| p as f32),
            objective: self.objective(impression),
            stage: Stage::Student,
        }
    }

    /// `σ(encoder · logit(Σ_h route_h σ(z_h)) + student · logit + bias)`
    fn second(&self, impression: &Impression, pooled: &[f32]) -> Judgement {
        let both = &self.calibration.both;
        let probabilities = std::array::from_fn(|level| {
            let heads = impression.route.iter().enumerate();
            let mixture: f64 =
                heads.map(|(head, heard)| heard * sigmoid(self.head(head, level, pooled))).sum();
            sigmoid(
                both.encoder[level] * logit(mixture)
                    + both.student[level] * impression.logits[level]
                    + both.bias[level],
            ) as f32
        });
        Judgement { probabilities, objective: self.objective(impression), stage: Stage::Encoder }
    }

    fn head(&self, head: usize, level: usize, pooled: &[f32]) -> f64 {
        let row = head * 6 + level;
        let weights = &self.heads[row * self.hidden..(row + 1) * self.hidden];
        let products = weights.iter().zip(pooled).map(|(&w, &x)| f64::from(w) * f64::from(x));
        f64::from(self.bias[row]) + products.sum::<f64>()
    }

    fn objective(&self, impression: &Impression) -> f32 {
        self.objectives.map_or(0.0, |head| impression.route[head] as f32)
    }
}

/// Texts in runs of at most [`BLOCK`] tokens, or of one text.
fn blocks<'t, 'i>(mut texts: &'t [&'i [u32]]) -> impl Iterator<Item = &'t [&'i [u32]]> {
    std::iter::from_fn(move || {
        let mut tokens = 0;
        let fitting = texts.iter().take_while(|text| {
            tokens += text.len();
            tokens <= BLOCK
        });
        let count = fitting.count().max(1).min(texts.len());
        let (block, rest) = texts.split_at(count);
        texts = rest;
        (!block.is_empty()).then_some(block)
    })
}
