//! The kernels in plain Rust, for every processor.

use super::{
    Instructions,
    attention::{self, Heads, Room},
    float,
    float::Norm,
    matrix::{Block, Codes, LANES, Matrix, QUAD},
    product::{self, Sums, Tile},
};

/// No instructions but those that the compiler may use anyway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Tile for Portable {
    const ROWS: usize = 4;

    #[inline(always)]
    fn sums<const R: usize, const P: usize>(
        self,
        rows: [&[[u8; QUAD]]; R],
        panels: [&[Block]; P],
    ) -> Sums<R, P> {
        let mut sums = [[[0; LANES]; P]; R];
        for (p, panel) in panels.into_iter().enumerate() {
            for (quad, block) in panel.iter().enumerate() {
                for r in 0..R {
                    let codes = rows[r][quad].map(i32::from);
                    for l in 0..LANES {
                        let weights = block.0[l].map(i32::from);
                        for k in 0..QUAD {
                            sums[r][p][l] += codes[k] * weights[k];
                        }
                    }
                }
            }
        }
        sums
    }
}

impl Instructions for Portable {
    fn product(self, codes: &Codes, matrix: &Matrix, out: &mut [f32]) {
        product::product(self, codes, matrix, out);
    }

    fn quantize(self, x: &[f32], width: usize, codes: &mut Codes) {
        float::quantize(x, width, codes);
    }

    fn gelu(self, x: &mut [f32]) {
        float::gelu(x);
    }

    fn normalize(self, x: &mut [f32], added: &[f32], norm: &Norm) {
        float::normalize(x, added, norm);
    }

    fn attend(self, qkv: &[f32], heads: Heads, room: &mut Room, out: &mut [f32]) {
        attention::attend(qkv, heads, room, out);
    }
}
