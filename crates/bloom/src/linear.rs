//! A linear layer in either arithmetic.

use candle_core::{Device, Tensor};
use candle_nn::Module;

use crate::{
    Arithmetic, Error,
    artifact::Tensors,
    kernel::{Codes, Instructions, Kernels, Matrix, with_instructions},
};

/// `y = x · wᵀ + b`
#[derive(Debug)]
pub(crate) enum Linear {
    Int8(Matrix, Kernels),
    Float(candle_nn::Linear),
}

impl Linear {
    /// Reads the tensors `{name}.weight`, `{name}.scale` and `{name}.bias`.
    pub(crate) fn new(
        arithmetic: Arithmetic,
        tensors: &Tensors,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, Error> {
        match arithmetic {
            Arithmetic::Int8 => {
                let matrix = tensors.matrix(name, outputs, inputs)?;
                Ok(Self::Int8(matrix, Kernels::best()))
            }
            Arithmetic::Float => float(tensors, name, outputs, inputs).map(Self::Float),
        }
    }

    /// Outputs for rows of `inputs` values, one after another.
    pub(crate) fn forward(&self, x: &[f32], inputs: usize) -> Vec<f32> {
        match self {
            Self::Int8(matrix, kernels) => {
                with_instructions!(*kernels, instructions => {
                    let mut codes = Codes::default();
                    instructions.quantize(x, inputs, &mut codes);
                    let mut out = vec![0.0; x.len() / inputs * matrix.outputs()];
                    instructions.product(&codes, matrix, &mut out);
                    out
                })
            }
            Self::Float(linear) => {
                let x = tensor(x.to_vec(), &[x.len() / inputs, inputs]);
                let y = linear.forward(&x).and_then(|y| y.flatten_all()?.to_vec1());
                y.expect("shapes were checked on loading")
            }
        }
    }
}

/// The layer of these tensors in `f32`.
pub(crate) fn float(
    tensors: &Tensors,
    name: &str,
    outputs: usize,
    inputs: usize,
) -> Result<candle_nn::Linear, Error> {
    let weight = tensors.quantized(name, outputs, inputs)?.dequantized();
    let bias = tensors.floats(&format!("{name}.bias"), &[outputs])?;
    let weight = tensor(weight, &[outputs, inputs]);
    Ok(candle_nn::Linear::new(weight, Some(tensor(bias, &[outputs]))))
}

/// A tensor of as many values as the shape says.
pub(crate) fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).expect("the shape was checked on reading")
}
