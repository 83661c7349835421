//! The kernels as the instruction sets of x86-64 do them.
//!
//! There is `unsafe` code here for two things that the compiler cannot check: that a function compiled for an instruction set runs on a processor that has it
//! (each set has a token that only its `detect` makes), and vector loads and stores, each of which
//! goes through a reference to as many bytes as it moves.

#![expect(unsafe_code, reason = "vector loads and stores, and functions of an instruction set")]

use std::arch::x86_64::*;

use super::{
    Instructions,
    attention::{self, Heads, Room},
    float,
    float::Norm,
    matrix::{Block, Codes, LANES, Matrix, QUAD},
    product::{self, Sums, Tile},
};

/// AVX-512 with VNNI: 64 products of bytes an instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

/// AVX2 with AVX-VNNI: 32 products of bytes an instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AvxVnni(());

/// AVX2: 32 products of bytes an instruction, added in pairs of 16 bits, two pairs of which are
/// added before they become 32.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vnni");
        there.then_some(Self(()))
    }
}

impl AvxVnni {
    pub(crate) fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni");
        there.then_some(Self(()))
    }
}

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

/// The sums of a tile from those of each of its panels.
macro_rules! by_panel {
    ($sums:ident($rows:expr, $panels:expr)) => {{
        let mut out = [[[0; LANES]; P]; R];
        for p in 0..P {
            let sums = $sums($rows, $panels[p]);
            for r in 0..R {
                out[r][p] = sums[r];
            }
        }
        out
    }};
}

impl Tile for Avx512 {
    const ROWS: usize = 12;

    #[inline(always)]
    fn sums<const R: usize, const P: usize>(
        self,
        rows: [&[[u8; QUAD]]; R],
        panels: [&[Block]; P],
    ) -> Sums<R, P> {
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
        fn sums<const R: usize, const P: usize>(
            rows: [&[[u8; QUAD]]; R],
            panels: [&[Block]; P],
        ) -> Sums<R, P> {
            let quads = panels[0].len();
            let (rows, panels) = (cut(rows, quads), cut(panels, quads));
            let mut sums = [[_mm512_setzero_si512(); P]; R];
            for quad in 0..quads {
                let mut weights = [_mm512_setzero_si512(); P];
                for p in 0..P {
                    let block = std::ptr::from_ref(&panels[p][quad]);
                    // SAFETY: a block is 64 bytes at an address that is a multiple of 64.
                    weights[p] = unsafe { _mm512_load_si512(block.cast()) };
                }
                for r in 0..R {
                    let codes = _mm512_set1_epi32(i32::from_ne_bytes(rows[r][quad]));
                    for p in 0..P {
                        sums[r][p] = _mm512_dpbusd_epi32(sums[r][p], codes, weights[p]);
                    }
                }
            }
            let mut out = [[[0; LANES]; P]; R];
            for r in 0..R {
                for p in 0..P {
                    // SAFETY: 16 values of 32 bits are 64 bytes.
                    unsafe { _mm512_storeu_si512(out[r][p].as_mut_ptr().cast(), sums[r][p]) }
                }
            }
            out
        }
        // SAFETY: the token is made on processors that have these instructions alone.
        unsafe { sums(rows, panels) }
    }
}

impl Tile for AvxVnni {
    const ROWS: usize = 6;

    #[inline(always)]
    fn sums<const R: usize, const P: usize>(
        self,
        rows: [&[[u8; QUAD]]; R],
        panels: [&[Block]; P],
    ) -> Sums<R, P> {
        #[target_feature(enable = "avx2,avxvnni")]
        fn sums<const R: usize>(rows: [&[[u8; QUAD]]; R], panel: &[Block]) -> [[i32; LANES]; R] {
            let quads = panel.len();
            let rows = cut(rows, quads);
            let mut sums = [[_mm256_setzero_si256(); 2]; R];
            for quad in 0..quads {
                let weights = halves(&panel[quad]);
                for r in 0..R {
                    let codes = _mm256_set1_epi32(i32::from_ne_bytes(rows[r][quad]));
                    for h in 0..2 {
                        sums[r][h] = _mm256_dpbusd_avx_epi32(sums[r][h], codes, weights[h]);
                    }
                }
            }
            let mut out = [[0; LANES]; R];
            for r in 0..R {
                out[r] = lanes(sums[r][0], sums[r][1]);
            }
            out
        }
        // SAFETY: the token is made on processors that have these instructions alone.
        unsafe { by_panel!(sums(rows, panels)) }
    }
}

impl Tile for Avx2 {
    const ROWS: usize = 3;

    #[inline(always)]
    fn sums<const R: usize, const P: usize>(
        self,
        rows: [&[[u8; QUAD]]; R],
        panels: [&[Block]; P],
    ) -> Sums<R, P> {
        #[target_feature(enable = "avx2")]
        fn sums<const R: usize>(rows: [&[[u8; QUAD]]; R], panel: &[Block]) -> [[i32; LANES]; R] {
            let (pairs, _) = panel.as_chunks::<2>();
            let mut codes: [&[[[u8; QUAD]; 2]]; R] = [&[]; R];
            for r in 0..R {
                codes[r] = rows[r].as_chunks().0;
            }
            let codes = cut(codes, pairs.len());
            let ones = _mm256_set1_epi16(1);
            let mut sums = [[_mm256_setzero_si256(); 2]; R];
            for pair in 0..pairs.len() {
                let weights = [halves(&pairs[pair][0]), halves(&pairs[pair][1])];
                for r in 0..R {
                    // One by one, or they are loaded together and taken apart again.
                    let first = _mm256_set1_epi32(i32::from_ne_bytes(codes[r][pair][0]));
                    let second = _mm256_set1_epi32(i32::from_ne_bytes(codes[r][pair][1]));
                    for h in 0..2 {
                        let products = _mm256_add_epi16(
                            _mm256_maddubs_epi16(first, weights[0][h]),
                            _mm256_maddubs_epi16(second, weights[1][h]),
                        );
                        sums[r][h] =
                            _mm256_add_epi32(sums[r][h], _mm256_madd_epi16(products, ones));
                    }
                }
            }
            let mut out = [[0; LANES]; R];
            for r in 0..R {
                out[r] = lanes(sums[r][0], sums[r][1]);
            }
            out
        }
        // SAFETY: the token is made on processors that have these instructions alone.
        unsafe { by_panel!(sums(rows, panels)) }
    }
}

/// Slices of the same length, which spares looking at it for each element.
#[inline(always)]
fn cut<T, const N: usize>(mut slices: [&[T]; N], length: usize) -> [&[T]; N] {
    for slice in &mut slices {
        *slice = &slice[..length];
    }
    slices
}

#[inline]
#[target_feature(enable = "avx2")]
fn halves(block: &Block) -> [__m256i; 2] {
    let start = block.0.as_ptr();
    // SAFETY: a block is 64 bytes, 4 an output, at an address that is a multiple of 64.
    unsafe { [_mm256_load_si256(start.cast()), _mm256_load_si256(start.add(LANES / 2).cast())] }
}

#[inline]
#[target_feature(enable = "avx2")]
fn lanes(low: __m256i, high: __m256i) -> [i32; LANES] {
    let mut out = [0; LANES];
    let start = out.as_mut_ptr();
    // SAFETY: 16 values of 32 bits are two vectors of 32 bytes.
    unsafe {
        _mm256_storeu_si256(start.cast(), low);
        _mm256_storeu_si256(start.add(LANES / 2).cast(), high);
    }
    out
}

/// The kernels of a token, compiled for its instruction set.
macro_rules! compiled_for {
    ($token:ty, $features:literal) => {
        impl Instructions for $token {
            fn product(self, codes: &Codes, matrix: &Matrix, out: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn compiled(tile: $token, codes: &Codes, matrix: &Matrix, out: &mut [f32]) {
                    product::product(tile, codes, matrix, out);
                }
                // SAFETY: the token is made on processors that have these instructions alone.
                unsafe { compiled(self, codes, matrix, out) }
            }

            fn quantize(self, x: &[f32], width: usize, codes: &mut Codes) {
                #[target_feature(enable = $features)]
                fn compiled(x: &[f32], width: usize, codes: &mut Codes) {
                    float::quantize(x, width, codes);
                }
                // SAFETY: as above.
                unsafe { compiled(x, width, codes) }
            }

            fn gelu(self, x: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn compiled(x: &mut [f32]) {
                    float::gelu(x);
                }
                // SAFETY: as above.
                unsafe { compiled(x) }
            }

            fn normalize(self, x: &mut [f32], added: &[f32], norm: &Norm) {
                #[target_feature(enable = $features)]
                fn compiled(x: &mut [f32], added: &[f32], norm: &Norm) {
                    float::normalize(x, added, norm);
                }
                // SAFETY: as above.
                unsafe { compiled(x, added, norm) }
            }

            fn attend(self, qkv: &[f32], heads: Heads, room: &mut Room, out: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn compiled(qkv: &[f32], heads: Heads, room: &mut Room, out: &mut [f32]) {
                    attention::attend(qkv, heads, room, out);
                }
                // SAFETY: as above.
                unsafe { compiled(qkv, heads, room, out) }
            }
        }
    };
}

compiled_for!(Avx512, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni");
compiled_for!(AvxVnni, "avx2,avxvnni");
compiled_for!(Avx2, "avx2");
