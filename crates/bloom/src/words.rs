//! Vectors for search: one a word piece, a text's vector is their sum at length 1. They are apart
//! from the encoder, which training bends towards levels and away from topics.

use crate::{
    Error,
    artifact::{Config, QuantizedRows, Tensors},
};

const NAME: &str = "words";

#[derive(Debug)]
pub(crate) struct WordVectors(QuantizedRows);

impl WordVectors {
    pub(crate) fn new(config: &Config, tensors: &Tensors) -> Result<Self, Error> {
        let dimensions = tensors.columns(NAME)?;
        tensors.quantized(NAME, config.encoder.vocabulary, dimensions).map(Self)
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.0.columns()
    }

    /// The sum of the vectors of `ids` at length 1; 0 where none of them means anything.
    pub(crate) fn embedding(&self, ids: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.dimensions()];
        for &id in ids {
            for (total, value) in sum.iter_mut().zip(self.0.row(id as usize)) {
                *total += value;
            }
        }
        let norm = sum.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            sum.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
        sum
    }
}
