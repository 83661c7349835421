//! The exact GELU, `0.5 · z · (1 + erf(z / √2))`, as one pass over a tensor that the compiler
//! turns into vector instructions; the library's own goes value by value through `erff`.

use std::f32::consts::FRAC_1_SQRT_2;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, bail};

/// Replaces each value of a contiguous `f32` tensor by its GELU.
pub(crate) struct Gelu;

impl InplaceOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("gelu needs a contiguous f32 tensor")
        };
        for z in &mut values[start..end] {
            *z *= 0.5 * (1.0 + erf(*z * FRAC_1_SQRT_2));
        }
        Ok(())
    }
}

/// Abramowitz and Stegun (1964), 7.1.28: off by at most 3e-7, beside rounding.
fn erf(x: f32) -> f32 {
    const A: [f32; 6] = [
        0.070_523_08,
        0.042_282_01,
        0.009_270_527,
        0.000_152_014_3,
        0.000_276_567_2,
        0.000_043_063_8,
    ];
    let t = x.abs();
    let p = 1.0 + t * (A[0] + t * (A[1] + t * (A[2] + t * (A[3] + t * (A[4] + t * A[5])))));
    let p = p * p;
    let p = p * p;
    let p = p * p;
    let p = p * p;
    (1.0 - 1.0 / p).copysign(x)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn values_are_those_of_the_library() {
        let z: Vec<f32> = (-2000..=2000).map(|step| step as f32 * 0.01).collect();
        let tensor = Tensor::new(z, &Device::Cpu).unwrap();
        let expected = tensor.gelu_erf().unwrap().to_vec1::<f32>().unwrap();
        tensor.inplace_op1(&Gelu).unwrap();
        for (found, expected) in tensor.to_vec1::<f32>().unwrap().into_iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 2e-6 * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
    }
}
