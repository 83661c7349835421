//! The transformer encoder (BERT with post-norm; Devlin et al., 2019), mean-pooled: word pieces
//! in, one vector a text out.
//!
//! Texts of a batch lie one after another in one `[tokens, hidden]` matrix. Everything but
//! attention works on single tokens, so no padding is needed anywhere; attention runs text by
//! text.

mod float;
mod int8;

use std::ops::Range;

use crate::{
    Error,
    artifact::{EncoderConfig, QuantizedRows, Tensors},
};

/// How the encoder calculates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arithmetic {
    /// On bytes, by the fastest instructions that the processor has; the outcome is the same on
    /// all processors.
    #[default]
    Int8,
    /// In `f32` on candle: slow, and the reference for the other.
    Float,
}

#[derive(Debug)]
pub(crate) enum Encoder {
    Int8(int8::Encoder),
    Float(float::Encoder),
}

impl Encoder {
    pub(crate) fn new(
        arithmetic: Arithmetic,
        config: &EncoderConfig,
        tensors: &Tensors,
    ) -> Result<Self, Error> {
        match arithmetic {
            Arithmetic::Int8 => int8::Encoder::new(config, tensors).map(Self::Int8),
            Arithmetic::Float => float::Encoder::new(config, tensors).map(Self::Float),
        }
    }

    /// Mean of the last layer over each text's tokens, not normalised. Texts must be neither
    /// empty nor longer than `max_tokens`, ids below `vocabulary`; `spans` are theirs.
    pub(crate) fn pooled(&self, texts: &[&[u32]], spans: &[Range<usize>]) -> Vec<Vec<f32>> {
        match self {
            Self::Int8(encoder) => encoder.pooled(texts, spans),
            Self::Float(encoder) => {
                encoder.pooled(texts, spans).expect("shapes were checked on loading")
            }
        }
    }
}

/// Vectors of words and positions.
#[derive(Debug)]
struct Embeddings {
    /// Kept quantised: a text needs few of its rows.
    words: QuantizedRows,
    /// `[max_tokens, hidden]`
    positions: Vec<f32>,
    hidden: usize,
}

impl Embeddings {
    fn new(config: &EncoderConfig, tensors: &Tensors) -> Result<Self, Error> {
        let hidden = config.hidden;
        Ok(Self {
            words: tensors.quantized("embeddings.word", config.vocabulary, hidden)?,
            positions: tensors.floats("embeddings.position", &[config.max_tokens, hidden])?,
            hidden,
        })
    }

    /// Their sums, one row a token.
    fn sums(&self, texts: &[&[u32]]) -> Vec<f32> {
        let tokens: usize = texts.iter().map(|text| text.len()).sum();
        let mut sums = Vec::with_capacity(tokens * self.hidden);
        for text in texts {
            for (&id, position) in text.iter().zip(self.positions.chunks_exact(self.hidden)) {
                sums.extend(self.words.row(id as usize).zip(position).map(|(word, at)| word + at));
            }
        }
        sums
    }
}

/// Where each text lies in the batch.
pub(crate) fn spans(texts: &[&[u32]]) -> Vec<Range<usize>> {
    texts
        .iter()
        .scan(0, |end, text| {
            let start = *end;
            *end += text.len();
            Some(start..*end)
        })
        .collect()
}
