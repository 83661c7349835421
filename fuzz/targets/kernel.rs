//! Every set of instructions gives the same bits, whatever the sizes and the numbers are.

#![no_main]
#![allow(dead_code, unused_imports, reason = "the module is built for more than this")]

#[path = "../../crates/bloom/src/kernel/mod.rs"]
mod kernel;

use kernel::{Codes, Heads, Instructions, Kernels, Matrix, Norm, Room, with_instructions};
use libfuzzer_sys::fuzz_target;

/// Sizes and numbers from the input, over and over.
struct Source<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        *self.0.next().expect("the input is not empty")
    }

    fn size(&mut self, most: usize) -> usize {
        1 + usize::from(self.byte()) % most
    }

    /// Any bits: infinities, subnormals and what is no number are among them.
    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count)
            .map(|_| {
                let bits = u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]);
                // Mostly numbers of the usual size.
                let exponent = if bits & 7 == 0 { bits } else { bits & 0x807f_ffff | 0x3f00_0000 };
                f32::from_bits(exponent)
            })
            .collect()
    }
}

struct Case {
    inputs: usize,
    x: Vec<f32>,
    matrix: Matrix,
    norm: Norm,
    heads: Heads,
    qkv: Vec<f32>,
}

impl Case {
    fn new(source: &mut Source<'_>) -> Self {
        let (tokens, inputs, outputs) = (source.size(40), source.size(80), source.size(80));
        let heads = Heads { count: source.size(3), size: source.size(40) };
        let weights: Vec<i8> = (0..inputs * outputs).map(|_| source.byte().cast_signed()).collect();
        let (scale, bias) = (source.floats(outputs), source.floats(outputs));
        Self {
            inputs,
            x: source.floats(tokens * inputs),
            matrix: Matrix::new(weights.into_iter(), inputs, &scale, &bias),
            norm: Norm { weight: source.floats(inputs), bias: source.floats(inputs), epsilon: 1e-12 },
            heads,
            qkv: source.floats(tokens * 3 * heads.count * heads.size),
        }
    }

    fn outcome<I: Instructions>(&self, instructions: I) -> Vec<u32> {
        let mut codes = Codes::default();
        instructions.quantize(&self.x, self.inputs, &mut codes);
        let tokens = self.x.len() / self.inputs;
        let mut product = vec![0.0; tokens * self.matrix.outputs()];
        instructions.product(&codes, &self.matrix, &mut product);
        let mut gelu = self.x.clone();
        instructions.gelu(&mut gelu);
        let mut normal = self.x.clone();
        instructions.normalize(&mut normal, &gelu, &self.norm);
        let mut found = vec![0.0; self.qkv.len() / 3];
        instructions.attend(&self.qkv, self.heads, &mut Room::default(), &mut found);
        let all = [product, gelu, normal, found].concat();
        // What is no number may have any bits.
        all.into_iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect()
    }
}

fuzz_target!(|data: &[u8]| {
    if data.is_empty() {
        return;
    }
    let case = Case::new(&mut Source(data.iter().cycle()));
    let mut outcomes = Kernels::available()
        .into_iter()
        .map(|kernels| with_instructions!(kernels, instructions => case.outcome(instructions)));
    let first = outcomes.next();
    assert!(outcomes.all(|outcome| Some(&outcome) == first.as_ref()));
});
