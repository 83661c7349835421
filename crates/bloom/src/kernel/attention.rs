//! Scaled dot-product attention (Vaswani et al., 2017) among the tokens of one text.

use std::array;

use super::{
    float::{add, exp, in_pairs, max},
    matrix::LANES,
    product::group,
};

/// Most queries that are worked on together.
const QUERIES: usize = 6;

type Lane = [f32; LANES];

/// Number and size of the attention heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) count: usize,
    pub(crate) size: usize,
}

/// One head of one text, laid out for vectors; the memory is used again.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// `[tokens / LANES, size, LANES]`, filled up.
    keys: Vec<Lane>,
    /// `[size / LANES, tokens, LANES]`, filled up.
    values: Vec<Lane>,
    /// `[QUERIES, tokens]`, rows filled up.
    weights: Vec<Lane>,
}

/// `qkv` holds query, key and value of each token, each of them head after head, one row a
/// token; `out` gets what each head finds, one row a token.
///
/// # Panics
///
/// If the lengths do not fit.
#[inline(always)]
pub(super) fn attend(qkv: &[f32], heads: Heads, room: &mut Room, out: &mut [f32]) {
    let width = heads.count * heads.size;
    assert!(qkv.len() == 3 * out.len() && out.len().is_multiple_of(width));
    let tokens = out.len() / width;
    for head in 0..heads.count {
        let head = Head { qkv, width, start: head * heads.size, size: heads.size, tokens };
        head.lay_out(room);
        let mut token = 0;
        while token < tokens {
            let queries = group(tokens - token, QUERIES);
            match queries {
                1 => head.attend::<1>(token, room, out),
                2 => head.attend::<2>(token, room, out),
                3 => head.attend::<3>(token, room, out),
                4 => head.attend::<4>(token, room, out),
                5 => head.attend::<5>(token, room, out),
                _ => head.attend::<QUERIES>(token, room, out),
            }
            token += queries;
        }
    }
}

struct Head<'a> {
    qkv: &'a [f32],
    width: usize,
    start: usize,
    size: usize,
    tokens: usize,
}

impl Head<'_> {
    /// This head's part of query (0), key (1) or value (2) of a token.
    #[inline(always)]
    fn part(&self, token: usize, part: usize) -> &[f32] {
        &self.qkv[(3 * token + part) * self.width + self.start..][..self.size]
    }

    #[inline(always)]
    fn lay_out(&self, room: &mut Room) {
        let (columns, parts) = (self.tokens.div_ceil(LANES), self.size.div_ceil(LANES));
        room.keys.resize(self.size * columns, [0.0; LANES]);
        room.values.resize(self.tokens * parts, [0.0; LANES]);
        room.weights.resize(QUERIES * columns, [0.0; LANES]);
        for token in 0..self.tokens {
            let (column, lane) = (token / LANES, token % LANES);
            let keys = &mut room.keys[column * self.size..][..self.size];
            for (keys, &key) in keys.iter_mut().zip(self.part(token, 1)) {
                keys[lane] = key;
            }
            for (part, values) in self.part(token, 2).chunks(LANES).enumerate() {
                room.values[part * self.tokens + token][..values.len()].copy_from_slice(values);
            }
        }
    }

    /// Attention of `Q` tokens from `token` on.
    #[inline(always)]
    fn attend<const Q: usize>(&self, token: usize, room: &mut Room, out: &mut [f32]) {
        let queries: [&[f32]; Q] = array::from_fn(|q| self.part(token + q, 0));
        let columns = self.tokens.div_ceil(LANES);
        for (column, keys) in room.keys.chunks_exact(self.size).enumerate() {
            let scores = scores(queries, keys);
            for q in 0..Q {
                room.weights[q * columns + column] = scores[q];
            }
        }
        let mut scales = [0.0; Q];
        for (scale, scores) in scales.iter_mut().zip(room.weights.chunks_exact_mut(columns)) {
            *scale = softmax(scores, self.tokens);
        }
        let weights: [&[f32]; Q] =
            array::from_fn(|q| &room.weights.as_flattened()[q * columns * LANES..]);
        for (part, values) in room.values.chunks_exact(self.tokens).enumerate() {
            let length = LANES.min(self.size - part * LANES);
            let found = mix(weights, values, scales);
            for q in 0..Q {
                let start = (token + q) * self.width + self.start + part * LANES;
                out[start..start + length].copy_from_slice(&found[q][..length]);
            }
        }
    }
}

/// Products of queries and a column of keys, over √size.
#[inline(always)]
fn scores<const Q: usize>(queries: [&[f32]; Q], keys: &[Lane]) -> [Lane; Q] {
    let queries = queries.map(|query| &query[..keys.len()]);
    let mut sums = [[0.0; LANES]; Q];
    for (d, keys) in keys.iter().enumerate() {
        for q in 0..Q {
            add_multiple(&mut sums[q], queries[q][d], keys);
        }
    }
    multiply(&mut sums, [1.0 / (keys.len() as f32).sqrt(); Q]);
    sums
}

/// Sums of values by weight, times `scales`.
#[inline(always)]
fn mix<const Q: usize>(weights: [&[f32]; Q], values: &[Lane], scales: [f32; Q]) -> [Lane; Q] {
    let weights = weights.map(|weights| &weights[..values.len()]);
    let mut sums = [[0.0; LANES]; Q];
    for (token, values) in values.iter().enumerate() {
        for q in 0..Q {
            add_multiple(&mut sums[q], weights[q][token], values);
        }
    }
    multiply(&mut sums, scales);
    sums
}

#[inline(always)]
fn add_multiple(sums: &mut Lane, factor: f32, values: &Lane) {
    for l in 0..LANES {
        sums[l] += factor * values[l];
    }
}

#[inline(always)]
fn multiply<const Q: usize>(rows: &mut [Lane; Q], factors: [f32; Q]) {
    for q in 0..Q {
        for l in 0..LANES {
            rows[q][l] *= factors[q];
        }
    }
}

/// Replaces scores by powers of e; the softmax is these times what is given back. What is beyond
/// `tokens` weighs nothing.
#[inline(always)]
fn softmax(scores: &mut [Lane], tokens: usize) -> f32 {
    scores.as_flattened_mut()[tokens..].fill(f32::NEG_INFINITY);
    let mut greatest = [f32::NEG_INFINITY; LANES];
    for chunk in scores.iter() {
        for l in 0..LANES {
            greatest[l] = max(chunk[l], greatest[l]);
        }
    }
    let greatest = in_pairs(greatest, max);
    let mut sums = [0.0; LANES];
    for chunk in scores.iter_mut() {
        for l in 0..LANES {
            chunk[l] = exp(chunk[l] - greatest);
            sums[l] += chunk[l];
        }
    }
    1.0 / in_pairs(sums, add)
}
