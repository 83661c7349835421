//! Arithmetic of the encoder on bytes: weights of 8 bits with a scale an output, activations of 7
//! bits with a scale and a zero point a token, sums in 32 bits.
//!
//! With 7 bits four products fit in 16 bits in nearly all rows of weights, and AVX2 is fastest at
//! adding up in 16 bits; the other rows are made to fit when a [`Matrix`] is packed.
//!
//! Each set of instructions that a processor may have does the same steps. The sums are whole
//! numbers and exact, and the steps in `f32` are done in one order, so every set gives the same
//! outcome, bit for bit, and a token's outcome does not depend on the tokens beside it.
//!
//! All `unsafe` code of the workspace is in this folder: vector instructions in `x86.rs`, mapped
//! files in `mapped.rs`.

#![expect(
    clippy::needless_range_loop,
    reason = "loops over lanes and rows of several arrays at once become vector instructions"
)]

mod attention;
mod float;
mod mapped;
mod matrix;
mod portable;
mod product;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use attention::{Heads, Room};
pub(crate) use float::Norm;
pub(crate) use mapped::Mapped;
pub(crate) use matrix::{Codes, MOST_INPUTS, Matrix};

/// The steps of the encoder. Matrices are row-major, one row a token.
///
/// All panic if the lengths do not fit.
pub(crate) trait Instructions: Copy {
    /// `out[t][o] = Σ_i codes[t][i] · matrix[o][i] + bias[o]`, of the values they stand for.
    fn product(self, codes: &Codes, matrix: &Matrix, out: &mut [f32]);

    /// Codes of rows of `width` values.
    fn quantize(self, x: &[f32], width: usize, codes: &mut Codes);

    /// `x = 0.5 · x · (1 + erf(x / √2))`
    fn gelu(self, x: &mut [f32]);

    /// `x[t] = norm(x[t] + added[t])`
    fn normalize(self, x: &mut [f32], added: &[f32], norm: &Norm);

    /// Attention among the tokens of one text, from their queries, keys and values.
    fn attend(self, qkv: &[f32], heads: Heads, room: &mut Room, out: &mut [f32]);
}

/// A set of instructions that this processor has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kernels {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(x86::AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    Portable(portable::Portable),
}

impl Kernels {
    /// The fastest set that this processor has.
    pub(crate) fn best() -> Self {
        Self::available()[0]
    }

    /// All sets that this processor has, the fastest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            sets.extend(x86::Avx512::detect().map(Self::Avx512));
            sets.extend(x86::AvxVnni::detect().map(Self::AvxVnni));
            sets.extend(x86::Avx2::detect().map(Self::Avx2));
        }
        sets.push(Self::Portable(portable::Portable));
        sets
    }
}

/// Runs a function that is generic over [`Instructions`] with those of a [`Kernels`].
macro_rules! with_instructions {
    ($kernels:expr, $instructions:ident => $work:expr) => {
        match $kernels {
            #[cfg(target_arch = "x86_64")]
            $crate::kernel::Kernels::Avx512($instructions) => $work,
            #[cfg(target_arch = "x86_64")]
            $crate::kernel::Kernels::AvxVnni($instructions) => $work,
            #[cfg(target_arch = "x86_64")]
            $crate::kernel::Kernels::Avx2($instructions) => $work,
            $crate::kernel::Kernels::Portable($instructions) => $work,
        }
    };
}
pub(crate) use with_instructions;
