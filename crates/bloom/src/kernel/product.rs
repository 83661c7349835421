//! The matrix product, but for the sums of one tile.

use super::matrix::{Block, Codes, Finish, LANES, Matrix, QUAD, RowScale};

/// Sums of `R` tokens for `P` panels of outputs.
pub(super) type Sums<const R: usize, const P: usize> = [[[i32; LANES]; P]; R];

/// A processor's way to add up products.
pub(super) trait Tile: Copy {
    /// Most tokens of a tile, 1 to 12.
    const ROWS: usize;

    /// `sums[r][p][l] = Σ rows[r][k] · panels[p][l][k]`, exactly. All rows and panels are of the
    /// same number of quads.
    fn sums<const R: usize, const P: usize>(
        self,
        rows: [&[[u8; QUAD]]; R],
        panels: [&[Block]; P],
    ) -> Sums<R, P>;
}

/// `out[t][o] = Σ_i value(codes[t][i]) · value(matrix[o][i]) + bias[o]`, row-major.
///
/// # Panics
///
/// If the lengths do not fit.
#[inline(always)]
pub(super) fn product<T: Tile>(tile: T, codes: &Codes, matrix: &Matrix, out: &mut [f32]) {
    let tokens = codes.rows.len();
    assert_eq!(codes.quads.len(), tokens * matrix.quads());
    assert_eq!(out.len(), tokens * matrix.outputs());
    let mut panel = 0;
    while panel < matrix.panels() {
        let pair = panel + 1 < matrix.panels();
        let mut token = 0;
        while token < tokens {
            let rows = group(tokens - token, T::ROWS);
            let task = Task { tile, codes, matrix, token, panel };
            if pair {
                task.run::<2>(rows, out);
            } else {
                task.run::<1>(rows, out);
            }
            token += rows;
        }
        panel += 1 + usize::from(pair);
    }
}

/// Size of the next group of at most `most`: few groups, all of about the same size.
#[inline(always)]
pub(super) fn group(left: usize, most: usize) -> usize {
    left.div_ceil(left.div_ceil(most))
}

/// The tile that begins at a token and a panel.
struct Task<'a, T: Tile> {
    tile: T,
    codes: &'a Codes,
    matrix: &'a Matrix,
    token: usize,
    panel: usize,
}

impl<T: Tile> Task<'_, T> {
    #[inline(always)]
    fn run<const P: usize>(&self, rows: usize, out: &mut [f32]) {
        match rows {
            1 => self.tile::<1, P>(out),
            2 => self.tile::<2, P>(out),
            3 => self.tile::<3, P>(out),
            4 => self.tile::<4, P>(out),
            5 => self.tile::<5, P>(out),
            6 => self.tile::<6, P>(out),
            7 if T::ROWS > 6 => self.tile::<7, P>(out),
            8 if T::ROWS > 6 => self.tile::<8, P>(out),
            9 if T::ROWS > 6 => self.tile::<9, P>(out),
            10 if T::ROWS > 6 => self.tile::<10, P>(out),
            11 if T::ROWS > 6 => self.tile::<11, P>(out),
            12 if T::ROWS > 6 => self.tile::<12, P>(out),
            _ => unreachable!("a tile has 1 to {} rows", T::ROWS),
        }
    }

    #[inline(always)]
    fn tile<const R: usize, const P: usize>(&self, out: &mut [f32]) {
        let (quads, width) = (self.matrix.quads(), self.matrix.outputs());
        let mut rows: [&[_]; R] = [&[]; R];
        for r in 0..R {
            rows[r] = &self.codes.quads[(self.token + r) * quads..][..quads];
        }
        let mut panels: [&[_]; P] = [&[]; P];
        for p in 0..P {
            panels[p] = self.matrix.panel(self.panel + p);
        }
        let sums = self.tile.sums(rows, panels);
        for r in 0..R {
            let out = &mut out[(self.token + r) * width..][..width];
            for p in 0..P {
                let panel = self.panel + p;
                let row = self.codes.rows[self.token + r];
                let values = finish(&sums[r][p], self.matrix.finish(panel), row);
                let out = &mut out[panel * LANES..];
                if let Some(out) = out.first_chunk_mut() {
                    *out = values;
                } else {
                    out.copy_from_slice(&values[..out.len()]);
                }
            }
        }
    }
}

#[inline(always)]
fn finish(sums: &[i32; LANES], finish: &Finish, row: RowScale) -> [f32; LANES] {
    let mut values = [0.0; LANES];
    for l in 0..LANES {
        let sum = sums[l].wrapping_sub(row.zero.wrapping_mul(finish.sums[l]));
        values[l] = sum as f32 * (row.scale * finish.scale[l]) + finish.bias[l];
    }
    values
}
