//! The encoder on bytes.

use std::ops::Range;

use super::Embeddings;
use crate::{
    Error,
    artifact::{EncoderConfig, Tensors},
    kernel::{Codes, Heads, Instructions, Kernels, Matrix, Norm, Room, with_instructions},
};

#[derive(Debug)]
pub(crate) struct Encoder {
    kernels: Kernels,
    embeddings: Embeddings,
    norm: Norm,
    layers: Vec<Layer>,
    heads: Heads,
}

#[derive(Debug)]
struct Layer {
    qkv: Matrix,
    attention_output: Matrix,
    attention_norm: Norm,
    up: Matrix,
    down: Matrix,
    output_norm: Norm,
}

impl Encoder {
    pub(super) fn new(config: &EncoderConfig, tensors: &Tensors) -> Result<Self, Error> {
        let (hidden, epsilon) = (config.hidden, config.layer_norm_eps as f32);
        Ok(Self {
            kernels: Kernels::best(),
            embeddings: Embeddings::new(config, tensors)?,
            norm: tensors.norm("embeddings.norm", hidden, epsilon)?,
            layers: (0..config.layers)
                .map(|index| Layer::new(config, tensors, index))
                .collect::<Result<_, _>>()?,
            heads: Heads { count: config.attention_heads, size: hidden / config.attention_heads },
        })
    }

    pub(super) fn pooled(&self, texts: &[&[u32]], spans: &[Range<usize>]) -> Vec<Vec<f32>> {
        with_instructions!(self.kernels, instructions => self.pooled_with(instructions, texts, spans))
    }

    fn pooled_with<I: Instructions>(
        &self,
        instructions: I,
        texts: &[&[u32]],
        spans: &[Range<usize>],
    ) -> Vec<Vec<f32>> {
        let hidden = self.norm.weight.len();
        let mut desk = Desk::new(instructions);
        let mut x = self.embeddings.sums(texts);
        desk.residual.resize(x.len(), 0.0);
        instructions.normalize(&mut x, &desk.residual, &self.norm);
        for layer in &self.layers {
            desk.forward(layer, self.heads, spans, &mut x);
        }
        let mean = |span: &Range<usize>| mean(&x[span.start * hidden..span.end * hidden], hidden);
        spans.iter().map(mean).collect()
    }
}

impl Layer {
    fn new(config: &EncoderConfig, tensors: &Tensors, index: usize) -> Result<Self, Error> {
        let (hidden, intermediate) = (config.hidden, config.intermediate);
        let matrix = |part: &str, outputs, inputs| {
            tensors.matrix(&format!("layers.{index}.{part}"), outputs, inputs)
        };
        let epsilon = config.layer_norm_eps as f32;
        let norm = |part: &str| tensors.norm(&format!("layers.{index}.{part}"), hidden, epsilon);
        Ok(Self {
            qkv: matrix("qkv", 3 * hidden, hidden)?,
            attention_output: matrix("attention_output", hidden, hidden)?,
            attention_norm: norm("attention_norm")?,
            up: matrix("up", intermediate, hidden)?,
            down: matrix("down", hidden, intermediate)?,
            output_norm: norm("output_norm")?,
        })
    }
}

/// Memory for what is worked on, used again by each layer.
struct Desk<I: Instructions> {
    instructions: I,
    codes: Codes,
    /// `[tokens, 3 · hidden]` or `[tokens, intermediate]`
    wide: Vec<f32>,
    /// `[tokens, hidden]`: what is added to the input.
    residual: Vec<f32>,
    room: Room,
}

impl<I: Instructions> Desk<I> {
    fn new(instructions: I) -> Self {
        Self {
            instructions,
            codes: Codes::default(),
            wide: Vec::new(),
            residual: Vec::new(),
            room: Room::default(),
        }
    }

    fn forward(&mut self, layer: &Layer, heads: Heads, spans: &[Range<usize>], x: &mut [f32]) {
        let hidden = heads.count * heads.size;
        let tokens = x.len() / hidden;
        let Self { instructions, codes, wide, residual, room } = self;

        instructions.quantize(x, hidden, codes);
        wide.resize(tokens * layer.qkv.outputs(), 0.0);
        instructions.product(codes, &layer.qkv, wide);
        for span in spans {
            let qkv = &wide[3 * hidden * span.start..3 * hidden * span.end];
            let found = &mut residual[hidden * span.start..hidden * span.end];
            instructions.attend(qkv, heads, room, found);
        }
        instructions.quantize(residual, hidden, codes);
        instructions.product(codes, &layer.attention_output, residual);
        instructions.normalize(x, residual, &layer.attention_norm);

        instructions.quantize(x, hidden, codes);
        wide.resize(tokens * layer.up.outputs(), 0.0);
        instructions.product(codes, &layer.up, wide);
        instructions.gelu(wide);
        instructions.quantize(wide, layer.up.outputs(), codes);
        instructions.product(codes, &layer.down, residual);
        instructions.normalize(x, residual, &layer.output_norm);
    }
}

fn mean(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    let count = (rows.len() / width) as f32;
    sums.iter_mut().for_each(|sum| *sum /= count);
    sums
}
