//! From a pooled vector to calibrated probabilities: one linear head a labelling convention, and
//! a gate that weighs the heads.

use crate::{
    Error,
    artifact::{Calibration, Config, Tensors},
};

/// Name of the head that learned how learning objectives are labelled.
const OBJECTIVES: &str = "objectives";
/// The mixture is kept this far from 0 and 1 before its logit is taken.
const EDGE: f64 = 1e-6;

#[derive(Debug)]
pub(crate) struct Heads {
    /// `[heads, 6, hidden]`
    weight: Vec<f32>,
    /// `[heads, 6]`
    bias: Vec<f32>,
    /// `[heads, hidden]`
    gate_weight: Vec<f32>,
    /// `[heads]`
    gate_bias: Vec<f32>,
    calibration: Calibration,
    objectives: Option<usize>,
    hidden: usize,
}

/// What the heads say of one text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Judgement {
    /// Calibrated, by level.
    pub(crate) probabilities: [f32; 6],
    /// How far the gate takes the text for a learning objective, 0 to 1.
    pub(crate) objective: f32,
}

impl Heads {
    pub(crate) fn new(config: &Config, tensors: &Tensors<'_>) -> Result<Self, Error> {
        let (heads, hidden) = (config.heads.len(), config.encoder.hidden);
        Ok(Self {
            weight: tensors.floats("heads.weight", &[heads, 6, hidden])?,
            bias: tensors.floats("heads.bias", &[heads, 6])?,
            gate_weight: tensors.floats("gate.weight", &[heads, hidden])?,
            gate_bias: tensors.floats("gate.bias", &[heads])?,
            calibration: config.calibration.clone(),
            objectives: config.heads.iter().position(|name| name == OBJECTIVES),
            hidden,
        })
    }

    /// `p = σ(scale · logit(Σ_h g_h σ(z_h)) + bias)` with `g = softmax(gate)`.
    pub(crate) fn judge(&self, pooled: &[f32]) -> Judgement {
        let gate = softmax(&self.linear(&self.gate_weight, &self.gate_bias, pooled));
        let logits = self.linear(&self.weight, &self.bias, pooled);
        let probabilities = std::array::from_fn(|level| {
            let mixture: f64 =
                gate.iter().zip(logits.chunks_exact(6)).map(|(g, z)| g * sigmoid(z[level])).sum();
            let mixture = mixture.clamp(EDGE, 1.0 - EDGE);
            let logit = (mixture / (1.0 - mixture)).ln();
            sigmoid(self.calibration.scale[level] * logit + self.calibration.bias[level]) as f32
        });
        let objective = self.objectives.map_or(0.0, |head| gate[head] as f32);
        Judgement { probabilities, objective }
    }

    fn linear(&self, weight: &[f32], bias: &[f32], x: &[f32]) -> Vec<f64> {
        weight
            .chunks_exact(self.hidden)
            .zip(bias)
            .map(|(row, &bias)| {
                let products = row.iter().zip(x).map(|(&w, &x)| f64::from(w) * f64::from(x));
                f64::from(bias) + products.sum::<f64>()
            })
            .collect()
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|z| (z - greatest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
