//! What happens between the products, in `f32`.
//!
//! Written without fused multiplication and with sums in a fixed order of [`LANES`] parts, so that
//! the outcome is the same, bit for bit, whatever instructions it is compiled for.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use super::matrix::{Codes, GREATEST_CODE, LANES, QUAD, RowScale, quads};

/// Adding and taking away this rounds to a whole number, which then is in the lowest bits.
const TO_WHOLE: f32 = 12_582_912.0;
const GREATEST: f32 = GREATEST_CODE as f32;

/// Layer norm (Ba, Kiros and Hinton, 2016): weight and bias by dimension.
#[derive(Debug)]
pub(crate) struct Norm {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

impl Norm {
    /// Normalises each row, for work too small to choose instructions.
    pub(crate) fn apply(&self, x: &mut [f32]) {
        let nothing = vec![0.0; x.len()];
        normalize(x, &nothing, self);
    }
}

/// Codes for each row of `width` values, as fine as the row's range allows; 0 itself always has a
/// code.
#[inline(always)]
pub(super) fn quantize(x: &[f32], width: usize, codes: &mut Codes) {
    let quads = quads(width);
    codes.rows.clear();
    codes.quads.clear();
    codes.quads.resize(x.len() / width * quads, [0; QUAD]);
    for (row, out) in x.chunks_exact(width).zip(codes.quads.chunks_exact_mut(quads)) {
        let (least, greatest) = range(row);
        let scale = (greatest - least) / GREATEST;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let zero = whole(-least * inverse);
        let zero_point = zero as f32;
        codes.rows.push(RowScale { scale, zero });
        for (code, &value) in out.as_flattened_mut().iter_mut().zip(row) {
            *code = whole(value * inverse + zero_point) as u8;
        }
    }
}

/// The nearest code.
#[inline(always)]
fn whole(x: f32) -> i32 {
    let x = if x > 0.0 { x } else { 0.0 };
    let x = if x < GREATEST { x } else { GREATEST };
    ((x + TO_WHOLE).to_bits() & 0xff) as i32
}

/// Least and greatest value, each at least as far out as 0.
#[inline(always)]
fn range(row: &[f32]) -> (f32, f32) {
    const WIDE: usize = 2 * LANES;
    let (chunks, rest) = row.as_chunks::<WIDE>();
    let (mut least, mut greatest) = ([0.0; WIDE], [0.0; WIDE]);
    for chunk in chunks {
        for l in 0..WIDE {
            least[l] = min(chunk[l], least[l]);
            greatest[l] = max(chunk[l], greatest[l]);
        }
    }
    for (l, &value) in rest.iter().enumerate() {
        least[l] = min(value, least[l]);
        greatest[l] = max(value, greatest[l]);
    }
    (in_pairs(least, min), in_pairs(greatest, max))
}

#[inline(always)]
fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[inline(always)]
pub(super) fn add(a: f32, b: f32) -> f32 {
    a + b
}

#[inline(always)]
pub(super) fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// `x[t] = norm(x[t] + added[t])` for each row; mean and (biased) variance over the row.
#[inline(always)]
pub(super) fn normalize(x: &mut [f32], added: &[f32], norm: &Norm) {
    let width = norm.weight.len();
    let count = width as f32;
    for (row, added) in x.chunks_exact_mut(width).zip(added.chunks_exact(width)) {
        for (value, more) in row.iter_mut().zip(added) {
            *value += more;
        }
        let mean = sum(row, |value| value) / count;
        let variance = sum(row, |value| (value - mean) * (value - mean)) / count;
        let inverse = 1.0 / (variance + norm.epsilon).sqrt();
        for ((value, weight), bias) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
            *value = (*value - mean) * inverse * weight + bias;
        }
    }
}

/// Sum of `part` of each value: [`LANES`] sums of every 16th, added up in pairs.
#[inline(always)]
fn sum(values: &[f32], part: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for l in 0..LANES {
            sums[l] += part(chunk[l]);
        }
    }
    for (sum, &value) in sums.iter_mut().zip(rest) {
        *sum += part(value);
    }
    in_pairs(sums, add)
}

/// One value of all lanes, by joining halves until one is left.
#[inline(always)]
pub(super) fn in_pairs<const N: usize>(mut lanes: [f32; N], join: fn(f32, f32) -> f32) -> f32 {
    let mut half = N / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] = join(lanes[l], lanes[l + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// The exact GELU, `0.5 · z · (1 + erf(z / √2))` (Hendrycks and Gimpel, 2016), of each value.
#[inline(always)]
pub(super) fn gelu(x: &mut [f32]) {
    for z in x {
        *z *= 0.5 * (1.0 + erf(*z * FRAC_1_SQRT_2));
    }
}

/// Abramowitz and Stegun (1964), 7.1.28: off by at most 3e-7, beside rounding.
#[inline(always)]
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

/// `e^x` for x of at most 0, off by at most 3e-7 of it; below −87 as for −87 (1.6e-38).
///
/// `x = n ln 2 + r` with a whole n and |r| ≤ ln 2 / 2 (Cody and Waite, 1980), and Taylor's series
/// of `e^r` to the sixth power.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > -87.0 { x } else { -87.0 };
    let whole = x * LOG2_E + TO_WHOLE;
    let n = whole - TO_WHOLE;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let series = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0));
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * series)));
    let power = f32::from_bits(whole.to_bits().wrapping_add(127) << 23);
    series * power
}
