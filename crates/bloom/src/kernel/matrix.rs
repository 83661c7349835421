//! How the numbers of a product lie in memory.

/// Outputs that lie side by side in a panel of a [`Matrix`].
pub(crate) const LANES: usize = 16;
/// Codes and weights that are multiplied and added up in one go.
pub(crate) const QUAD: usize = 4;
/// More inputs than this could overflow a sum in 32 bits: 255 · 128 each.
pub(crate) const MOST_INPUTS: usize = i32::MAX as usize / (255 * 128);

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
    /// `weight · scale[row]`, and `bias[row]` is added to the row's product.
    ///
    /// # Panics
    ///
    /// If the lengths do not fit or there are more than [`MOST_INPUTS`] inputs.
    pub(crate) fn new(
        weights: impl Iterator<Item = i8>,
        inputs: usize,
        scale: &[f32],
        bias: &[f32],
    ) -> Self {
        assert!((1..=MOST_INPUTS).contains(&inputs) && scale.len() == bias.len());
        let (outputs, quads) = (scale.len(), inputs.div_ceil(QUAD));
        let panels = outputs.div_ceil(LANES);
        let mut blocks = vec![Block([[0; QUAD]; LANES]); panels * quads];
        let empty = Finish { scale: [0.0; LANES], bias: [0.0; LANES], sums: [0; LANES] };
        let mut finish = vec![empty; panels];
        let mut weights = weights.fuse();
        for row in 0..outputs {
            let (panel, lane) = (row / LANES, row % LANES);
            finish[panel].scale[lane] = scale[row];
            finish[panel].bias[lane] = bias[row];
            for (input, weight) in weights.by_ref().take(inputs).enumerate() {
                blocks[panel * quads + input / QUAD].0[lane][input % QUAD] = weight;
                finish[panel].sums[lane] += i32::from(weight);
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

/// How the codes of one row are read: the value of a code is `(code − zero) · scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RowScale {
    pub(crate) scale: f32,
    /// 0 to 255.
    pub(crate) zero: i32,
}

/// Activations, each a code of 0 to 255, one row a token.
#[derive(Debug)]
pub(crate) struct Codes<C> {
    pub(super) quads: Vec<[C; QUAD]>,
    pub(super) rows: Vec<RowScale>,
}

impl<C> Codes<C> {
    pub(crate) fn new() -> Self {
        Self { quads: Vec::new(), rows: Vec::new() }
    }
}

/// How a code is stored: as the instructions want it.
pub(crate) trait Code: Copy + Default + Send + std::fmt::Debug + 'static {
    /// From 0 to 255.
    fn new(code: u8) -> Self;
}

impl Code for u8 {
    #[inline(always)]
    fn new(code: u8) -> Self {
        code
    }
}

impl Code for i16 {
    #[inline(always)]
    fn new(code: u8) -> Self {
        i16::from(code)
    }
}
