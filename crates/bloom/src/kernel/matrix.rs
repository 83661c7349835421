//! How the numbers of a product lie in memory.

/// Outputs that lie side by side in a panel of a [`Matrix`].
pub(crate) const LANES: usize = 16;
/// Codes and weights that are multiplied and added up in one go.
pub(crate) const QUAD: usize = 4;
/// Codes are 0 to this, of 7 bits.
pub(crate) const GREATEST_CODE: u8 = 127;
/// More inputs than this could overflow a sum in 32 bits.
pub(crate) const MOST_INPUTS: usize = i32::MAX as usize / (GREATEST_CODE as usize * 128);
/// What the weights of one sign may sum up to among those whose products are added in 16 bits.
const MOST_TOGETHER: i32 = i16::MAX as i32 / GREATEST_CODE as i32;

/// How many [`QUAD`]s hold the inputs: an even number, filled up with 0.
pub(crate) fn quads(inputs: usize) -> usize {
    2 * inputs.div_ceil(2 * QUAD)
}

/// Four weights of each of [`LANES`] outputs, a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(super) [[i8; QUAD]; LANES]);

/// What turns the sums of [`LANES`] outputs into their values.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Finish {
    pub(super) scale: [f32; LANES],
    pub(super) bias: [f32; LANES],
    /// Sum of an output's weights: what a zero point of 1 adds to its products.
    pub(super) sums: [i32; LANES],
}

/// Weights of a linear layer in the order in which the products read them: panels of [`LANES`]
/// outputs, filled up by outputs of 0, each panel a [`Block`] for every [`QUAD`] inputs.
#[derive(Debug)]
pub(crate) struct Matrix {
    blocks: Vec<Block>,
    finish: Vec<Finish>,
    outputs: usize,
    quads: usize,
}

impl Matrix {
    /// Packs `scale.len()` rows of `inputs` weights, one row an output; the value of a weight is
    /// `weight · scale[row]`, and `bias[row]` is added to the row's product. In a row whose
    /// products could overflow 16 bits, the weights are made smaller and the scale greater.
    ///
    /// # Panics
    ///
    /// If the lengths do not fit or there are more than [`MOST_INPUTS`] inputs.
    pub(crate) fn new(
        mut weights: impl Iterator<Item = i8>,
        inputs: usize,
        scale: &[f32],
        bias: &[f32],
    ) -> Self {
        assert!((1..=MOST_INPUTS).contains(&inputs) && scale.len() == bias.len());
        let (outputs, quads) = (scale.len(), quads(inputs));
        let panels = outputs.div_ceil(LANES);
        let mut blocks = vec![Block([[0; QUAD]; LANES]); panels * quads];
        let empty = Finish { scale: [0.0; LANES], bias: [0.0; LANES], sums: [0; LANES] };
        let mut finish = vec![empty; panels];
        let mut row = vec![[0; QUAD]; quads];
        for output in 0..outputs {
            let (panel, lane) = (output / LANES, output % LANES);
            row.as_flattened_mut()[..inputs].fill_with(|| weights.next().unwrap_or(0));
            let finish = &mut finish[panel];
            finish.scale[lane] = scale[output] * shrink(&mut row);
            finish.bias[lane] = bias[output];
            finish.sums[lane] = row.as_flattened().iter().copied().map(i32::from).sum();
            for (block, weights) in blocks[panel * quads..].iter_mut().zip(&row) {
                block.0[lane] = *weights;
            }
        }
        Self { blocks, finish, outputs, quads }
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The number of [`QUAD`]s that the inputs fill.
    pub(crate) fn quads(&self) -> usize {
        self.quads
    }

    pub(super) fn panels(&self) -> usize {
        self.finish.len()
    }

    pub(super) fn panel(&self, index: usize) -> &[Block] {
        &self.blocks[index * self.quads..(index + 1) * self.quads]
    }

    pub(super) fn finish(&self, panel: usize) -> &Finish {
        &self.finish[panel]
    }
}

/// Makes the weights of a row so small that the products of two neighbours in a [`QUAD`] and of
/// the same two in the next one fit in 16 bits together. Gives back what that multiplies a weight's
/// value by.
fn shrink(row: &mut [[i8; QUAD]]) -> f32 {
    let greatest = row.as_chunks().0.iter().map(most_together).max().unwrap_or(0);
    if greatest <= MOST_TOGETHER {
        return 1.0;
    }
    // Rounding adds at most half to each of the four.
    let factor = (MOST_TOGETHER - 2) as f32 / greatest as f32;
    for weight in row.as_flattened_mut() {
        *weight = (f32::from(*weight) * factor).round() as i8;
    }
    1.0 / factor
}

/// The greatest sum of weights of one sign whose products are added in 16 bits.
fn most_together([first, second]: &[[i8; QUAD]; 2]) -> i32 {
    let of_sign = |sign: i32, pair: usize| {
        let weights = [first[pair], first[pair + 1], second[pair], second[pair + 1]];
        weights.into_iter().map(|weight| (sign * i32::from(weight)).max(0)).sum::<i32>()
    };
    [of_sign(1, 0), of_sign(1, 2), of_sign(-1, 0), of_sign(-1, 2)].into_iter().max().unwrap_or(0)
}

/// How the codes of one row are read: the value of a code is `(code − zero) · scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RowScale {
    pub(crate) scale: f32,
    /// A code.
    pub(crate) zero: i32,
}

/// Activations, each a code of 0 to [`GREATEST_CODE`], one row a token.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    pub(super) quads: Vec<[u8; QUAD]>,
    pub(super) rows: Vec<RowScale>,
}
