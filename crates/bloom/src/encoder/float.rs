//! The encoder in `f32` on candle: slow, and the reference for the one on bytes.

use std::ops::Range;

use candle_core::{D, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module, ops::softmax_last_dim};

use super::Embeddings;
use crate::{
    Error,
    artifact::{EncoderConfig, Tensors},
    linear::{float as linear, tensor},
};

#[derive(Debug)]
pub(crate) struct Encoder {
    embeddings: Embeddings,
    norm: LayerNorm,
    layers: Vec<Layer>,
    hidden: usize,
}

#[derive(Debug)]
struct Layer {
    qkv: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    output_norm: LayerNorm,
    attention_heads: usize,
}

impl Encoder {
    pub(super) fn new(
        config: &EncoderConfig,
        tensors: &Tensors,
    ) -> std::result::Result<Self, Error> {
        Ok(Self {
            embeddings: Embeddings::new(config, tensors)?,
            norm: layer_norm(config, tensors, "embeddings.norm")?,
            layers: (0..config.layers)
                .map(|index| Layer::new(config, tensors, index))
                .collect::<std::result::Result<_, _>>()?,
            hidden: config.hidden,
        })
    }

    pub(super) fn pooled(&self, texts: &[&[u32]], spans: &[Range<usize>]) -> Result<Vec<Vec<f32>>> {
        let sums = self.embeddings.sums(texts);
        let tokens = sums.len() / self.hidden;
        let mut x = self.norm.forward(&tensor(sums, &[tokens, self.hidden]))?;
        for layer in &self.layers {
            x = layer.forward(&x, spans)?;
        }
        spans.iter().map(|span| x.narrow(0, span.start, span.len())?.mean(0)?.to_vec1()).collect()
    }
}

impl Layer {
    fn new(
        config: &EncoderConfig,
        tensors: &Tensors,
        index: usize,
    ) -> std::result::Result<Self, Error> {
        let (hidden, intermediate) = (config.hidden, config.intermediate);
        let name = |part: &str| format!("layers.{index}.{part}");
        Ok(Self {
            qkv: linear(tensors, &name("qkv"), 3 * hidden, hidden)?,
            attention_output: linear(tensors, &name("attention_output"), hidden, hidden)?,
            attention_norm: layer_norm(config, tensors, &name("attention_norm"))?,
            up: linear(tensors, &name("up"), intermediate, hidden)?,
            down: linear(tensors, &name("down"), hidden, intermediate)?,
            output_norm: layer_norm(config, tensors, &name("output_norm"))?,
            attention_heads: config.attention_heads,
        })
    }

    fn forward(&self, x: &Tensor, spans: &[Range<usize>]) -> Result<Tensor> {
        let qkv = self.qkv.forward(x)?;
        let attended = spans
            .iter()
            .map(|span| self.attend(&qkv.narrow(0, span.start, span.len())?))
            .collect::<Result<Vec<_>>>()?;
        let attended = self.attention_output.forward(&Tensor::cat(&attended, 0)?)?;
        let x = self.attention_norm.forward(&(x + attended)?)?;
        let up = self.up.forward(&x)?.gelu_erf()?;
        self.output_norm.forward(&(&x + self.down.forward(&up)?)?)
    }

    /// Scaled dot-product attention among the tokens of one text: `[n, 3·hidden]` to
    /// `[n, hidden]`.
    fn attend(&self, qkv: &Tensor) -> Result<Tensor> {
        let (n, width) = qkv.dims2()?;
        let size = width / 3 / self.attention_heads;
        let qkv = qkv.reshape((n, 3, self.attention_heads, size))?.permute((1, 2, 0, 3))?;
        let (q, k, v) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
        let scores = (q / (size as f64).sqrt())?.matmul(&k.t()?)?;
        softmax_last_dim(&scores)?.matmul(&v)?.transpose(0, 1)?.flatten_from(D::Minus2)
    }
}

fn layer_norm(
    config: &EncoderConfig,
    tensors: &Tensors,
    name: &str,
) -> std::result::Result<LayerNorm, Error> {
    let shape = [config.hidden];
    let weight = tensors.floats(&format!("{name}.weight"), &shape)?;
    let bias = tensors.floats(&format!("{name}.bias"), &shape)?;
    Ok(LayerNorm::new(tensor(weight, &shape), tensor(bias, &shape), config.layer_norm_eps))
}
