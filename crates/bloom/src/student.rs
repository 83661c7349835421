//! The student: a small network, taught by the encoder, that reads a text first. It looks at each
//! word piece between its neighbours (a convolution, after Kim, 2014) and at their weighted mean;
//! what known phrases say is added.

use std::ops::Range;

use crate::{
    Arithmetic, Error,
    artifact::{Config, QuantizedRows, Scaling, StudentConfig, Tensors},
    kernel::Norm,
    linear::Linear,
    numbers::{sigmoid, softmax},
    phrases::Phrases,
};

const EPSILON: f32 = 1e-5;

#[derive(Debug)]
pub(crate) struct Student {
    config: StudentConfig,
    embeddings: QuantizedRows,
    /// Weight of each word piece in the mean.
    importance: Vec<f32>,
    convolution: Linear,
    norm: Norm,
    hidden: Linear,
    output: Linear,
    route: Linear,
    phrases: Phrases,
    calibration: Scaling,
}

/// What the student makes of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Impression {
    /// By level, as the encoder's calibration takes them.
    pub(crate) logits: [f64; 6],
    /// Calibrated, by level.
    pub(crate) probabilities: [f64; 6],
    /// How much each of the encoder's heads is to be heard, 1 in all.
    pub(crate) route: Vec<f64>,
}

impl Impression {
    /// 0 to 1: how clearly one level is above a half, and all of them are away from it.
    pub(crate) fn certainty(&self) -> f64 {
        let greatest = self.probabilities.iter().copied().fold(0.0, f64::max);
        let margins = self.probabilities.iter().map(|p| (2.0 * p - 1.0).abs());
        margins.fold(2.0 * greatest - 1.0, f64::min).max(0.0)
    }
}

impl Student {
    pub(crate) fn new(
        arithmetic: Arithmetic,
        config: &Config,
        tensors: &Tensors,
    ) -> Result<Self, Error> {
        let StudentConfig { dimensions, filters, width, hidden } = config.student;
        let vocabulary = config.encoder.vocabulary;
        let linear =
            |name, outputs, inputs| Linear::new(arithmetic, tensors, name, outputs, inputs);
        let importance = tensors.floats("importance", &[vocabulary])?;
        Ok(Self {
            config: config.student.clone(),
            embeddings: tensors.quantized("embeddings", vocabulary, dimensions)?,
            importance: importance.into_iter().map(f32::exp).collect(),
            convolution: linear("convolution", filters, width * dimensions)?,
            norm: tensors.norm("norm", dimensions + filters, EPSILON)?,
            hidden: linear("hidden", hidden, dimensions + filters)?,
            output: linear("output", 6, hidden)?,
            route: linear("route", config.heads.len(), hidden)?,
            phrases: Phrases::new(config, tensors)?,
            calibration: config.calibration.student.clone(),
        })
    }

    /// Reads texts as [`crate::encoder::Encoder::pooled`] does.
    pub(crate) fn read(&self, texts: &[&[u32]], spans: &[Range<usize>]) -> Vec<Impression> {
        let StudentConfig { dimensions, filters, hidden, .. } = self.config;
        let embedded = self.embed(texts);
        let windows = self.windows(&embedded, spans);
        let found = self.convolution.forward(&windows, self.config.width * dimensions);
        let mut features = Vec::with_capacity(texts.len() * (dimensions + filters));
        for (text, span) in texts.iter().zip(spans) {
            self.mean(text, &embedded[span.start * dimensions..], &mut features);
            peak(&found[span.start * filters..span.end * filters], filters, &mut features);
        }
        self.norm.apply(&mut features);
        let mut h = self.hidden.forward(&features, dimensions + filters);
        h.iter_mut().for_each(|x| *x = x.max(0.0));
        let logits = self.output.forward(&h, hidden);
        let routes = self.route.forward(&h, hidden);
        let heads = routes.len() / texts.len().max(1);
        let pairs = logits.as_chunks().0.iter().zip(routes.chunks_exact(heads.max(1)));
        let read = texts.iter().zip(pairs);
        read.map(|(text, (logits, route))| self.impression(text, logits, route)).collect()
    }

    fn embed(&self, texts: &[&[u32]]) -> Vec<f32> {
        let mut rows = Vec::new();
        for &id in texts.iter().copied().flatten() {
            rows.extend(self.embeddings.row(id as usize));
        }
        rows
    }

    /// For each token, the embeddings around it; 0 beyond its text.
    fn windows(&self, embedded: &[f32], spans: &[Range<usize>]) -> Vec<f32> {
        let StudentConfig { dimensions, width, .. } = self.config;
        let reach = width / 2;
        let mut windows = vec![0.0; embedded.len() * width];
        for (token, window) in windows.chunks_exact_mut(width * dimensions).enumerate() {
            let span = &spans[spans.partition_point(|span| span.end <= token)];
            let first = token.saturating_sub(reach).max(span.start);
            let end = (token + reach + 1).min(span.end);
            let skipped = (first + reach - token) * dimensions;
            let seen = &embedded[first * dimensions..end * dimensions];
            window[skipped..skipped + seen.len()].copy_from_slice(seen);
        }
        windows
    }

    /// Appends the mean of a text's embeddings, weighted by importance.
    fn mean(&self, text: &[u32], embedded: &[f32], features: &mut Vec<f32>) {
        let start = features.len();
        features.resize(start + self.config.dimensions, 0.0);
        let sums = &mut features[start..];
        let mut total = 0.0;
        for (&id, row) in text.iter().zip(embedded.chunks_exact(sums.len())) {
            let weight = self.importance[id as usize];
            total += weight;
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= total);
    }

    fn impression(&self, text: &[u32], logits: &[f32; 6], route: &[f32]) -> Impression {
        let route: Vec<f64> = route.iter().copied().map(f64::from).collect();
        let route = softmax(&route);
        let mut logits = logits.map(f64::from);
        self.phrases.add(text, &route, &mut logits);
        let Scaling { scale, bias } = &self.calibration;
        Impression {
            logits,
            probabilities: std::array::from_fn(|level| {
                sigmoid(scale[level] * logits[level] + bias[level])
            }),
            route,
        }
    }
}

/// Appends the greatest value of each column, at least 0.
fn peak(rows: &[f32], width: usize, features: &mut Vec<f32>) {
    let start = features.len();
    features.resize(start + width, 0.0);
    for row in rows.chunks_exact(width) {
        for (peak, value) in features[start..].iter_mut().zip(row) {
            *peak = if *value > *peak { *value } else { *peak };
        }
    }
}
