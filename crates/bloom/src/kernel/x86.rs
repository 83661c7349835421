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

/// AVX2: 16 products of words an instruction, for its products of bytes saturate.
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
    type Code = u8;
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
            let rows = rows.map(|row| &row[..quads]);
            let panels = panels.map(|panel| &panel[..quads]);
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
    type Code = u8;
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
            let rows = rows.map(|row| &row[..quads]);
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
    type Code = i16;
    const ROWS: usize = 6;

    #[inline(always)]
    fn sums<const R: usize, const P: usize>(
        self,
        rows: [&[[i16; QUAD]]; R],
        panels: [&[Block]; P],
    ) -> Sums<R, P> {
        /// Sums of one half of a panel, 8 outputs. A vector of sums holds two parts, to be added
        /// at the end, for each of four outputs.
        #[inline]
        #[target_feature(enable = "avx2")]
        fn half<const R: usize>(
            rows: [&[[i16; QUAD]]; R],
            panel: &[Block],
            half: usize,
        ) -> [__m256i; R] {
            let quads = panel.len();
            let rows = rows.map(|row| &row[..quads]);
            let mut sums = [[_mm256_setzero_si256(); 2]; R];
            for quad in 0..quads {
                let bytes = halves(&panel[quad])[half];
                let weights = [
                    _mm256_cvtepi8_epi16(_mm256_castsi256_si128(bytes)),
                    _mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(bytes)),
                ];
                for r in 0..R {
                    let codes = _mm256_set1_epi64x(four(rows[r][quad]));
                    for q in 0..2 {
                        let products = _mm256_madd_epi16(codes, weights[q]);
                        sums[r][q] = _mm256_add_epi32(sums[r][q], products);
                    }
                }
            }
            let mut out = [_mm256_setzero_si256(); R];
            for r in 0..R {
                let outputs_01452367 = _mm256_hadd_epi32(sums[r][0], sums[r][1]);
                out[r] = _mm256_permute4x64_epi64::<0b11_01_10_00>(outputs_01452367);
            }
            out
        }
        #[target_feature(enable = "avx2")]
        fn sums<const R: usize>(rows: [&[[i16; QUAD]]; R], panel: &[Block]) -> [[i32; LANES]; R] {
            let (low, high) = (half(rows, panel, 0), half(rows, panel, 1));
            let mut out = [[0; LANES]; R];
            for r in 0..R {
                out[r] = lanes(low[r], high[r]);
            }
            out
        }
        // SAFETY: the token is made on processors that have these instructions alone.
        unsafe { by_panel!(sums(rows, panels)) }
    }
}

#[inline]
fn four([a, b, c, d]: [i16; QUAD]) -> i64 {
    let [a, b, c, d] = [a, b, c, d].map(|code| u64::from(code as u16));
    (a | b << 16 | c << 32 | d << 48) as i64
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
    ($token:ty, $code:ty, $features:literal) => {
        impl Instructions for $token {
            type Code = $code;

            fn product(self, codes: &Codes<$code>, matrix: &Matrix, out: &mut [f32]) {
                #[target_feature(enable = $features)]
                fn compiled(tile: $token, codes: &Codes<$code>, matrix: &Matrix, out: &mut [f32]) {
                    product::product(tile, codes, matrix, out);
                }
                // SAFETY: the token is made on processors that have these instructions alone.
                unsafe { compiled(self, codes, matrix, out) }
            }

            fn quantize(self, x: &[f32], width: usize, codes: &mut Codes<$code>) {
                #[target_feature(enable = $features)]
                fn compiled(x: &[f32], width: usize, codes: &mut Codes<$code>) {
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

compiled_for!(Avx512, u8, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni");
compiled_for!(AvxVnni, u8, "avx2,avxvnni");
compiled_for!(Avx2, i16, "avx2");
