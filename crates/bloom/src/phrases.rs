//! What the phrases of a text say of its levels. A phrase is a run of a few word pieces; the known
//! ones are the features of a linear model, each 1 / √(their number) (after Wang and Manning, 2012).

use std::iter;

use crate::{
    Error,
    artifact::{Config, Tensors},
};

/// FNV-1a (Fowler, Noll and Vo) in 32 bits.
const BASIS: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;

#[derive(Debug)]
pub(crate) struct Phrases {
    /// Most word pieces of a phrase.
    longest: usize,
    /// Hashes of the known phrases, ascending.
    keys: Vec<u32>,
    /// `[keys, heads · 6]`
    weights: Vec<f32>,
    /// `[heads · 6]`
    bias: Vec<f32>,
    /// The heads of the encoder whose conventions these phrases are of.
    heads: Vec<usize>,
}

impl Phrases {
    pub(crate) fn new(config: &Config, tensors: &Tensors) -> Result<Self, Error> {
        let outputs = config.phrases.heads.len() * 6;
        let keys = tensors.ascending("phrases.keys")?;
        let rows = tensors.quantized("phrases", outputs, keys.len())?;
        let mut weights = vec![0.0; keys.len() * outputs];
        for output in 0..outputs {
            let column = weights.iter_mut().skip(output).step_by(outputs);
            column.zip(rows.row(output)).for_each(|(weight, value)| *weight = value);
        }
        if !weights.iter().all(|weight| weight.is_finite()) {
            return Err(tensors.problem("phrases.scale", "makes weights that are not finite"));
        }
        Ok(Self {
            longest: config.phrases.longest,
            keys,
            weights,
            bias: tensors.floats("phrases.bias", &[outputs])?,
            heads: config.phrase_heads(),
        })
    }

    /// Adds what the phrases say by each head, as much of it as the head is heard, to the logits
    /// by level.
    pub(crate) fn add(&self, text: &[u32], route: &[f64], logits: &mut [f64; 6]) {
        let known = self.known(text);
        let share = 1.0 / (known.len().max(1) as f64).sqrt();
        for (number, &head) in self.heads.iter().enumerate() {
            for (level, logit) in logits.iter_mut().enumerate() {
                let output = number * 6 + level;
                let weight = |&key: &usize| f64::from(self.weights[key * self.bias.len() + output]);
                let sum: f64 = known.iter().map(weight).sum();
                *logit += route[head] * (sum * share + f64::from(self.bias[output]));
            }
        }
    }

    /// The different known phrases of a text, by number, ascending.
    fn known(&self, text: &[u32]) -> Vec<usize> {
        let starts = (0..text.len()).map(|start| &text[start..]);
        let keys = starts.flat_map(|rest| hashes(rest).take(self.longest));
        let mut known: Vec<usize> =
            keys.filter_map(|key| self.keys.binary_search(&key).ok()).collect();
        known.sort_unstable();
        known.dedup();
        known
    }
}

/// Hashes of the first piece, the first two, and so on.
fn hashes(pieces: &[u32]) -> impl Iterator<Item = u32> {
    let mut pieces = pieces.iter();
    let mut next = move |hash: &u32| Some((hash ^ pieces.next()?).wrapping_mul(PRIME));
    iter::successors(next(&BASIS), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows the piece 5, the pair 5 6 and the three 6 5 6, each with weights of its own for the
    /// second of three heads.
    fn phrases() -> Phrases {
        let mut known: Vec<(u32, f32)> = [(&[5][..], 1.0), (&[5, 6], 10.0), (&[6, 5, 6], 100.0)]
            .map(|(pieces, weight)| (hashes(pieces).last().unwrap(), weight))
            .to_vec();
        known.sort_by_key(|&(key, _)| key);
        Phrases {
            longest: 3,
            keys: known.iter().map(|&(key, _)| key).collect(),
            weights: known
                .iter()
                .flat_map(|&(_, weight)| [weight, 0.0, 0.0, 0.0, 0.0, -weight])
                .collect(),
            bias: vec![0.0, 0.5, 0.0, 0.0, 0.0, 0.0],
            heads: vec![1],
        }
    }

    fn added(text: &[u32], route: &[f64]) -> [f64; 6] {
        let mut logits = [2.0; 6];
        phrases().add(text, route, &mut logits);
        logits.map(|logit| logit - 2.0)
    }

    #[test]
    fn each_known_phrase_counts_once_and_all_alike() {
        let all = 111.0 / 3.0_f64.sqrt();
        for text in [&[6, 5, 6][..], &[5, 6, 5, 6], &[6, 5, 6, 5, 6]] {
            let found = added(text, &[0.0, 1.0, 0.0]);
            assert!((found[0] - all).abs() < 1e-9 && (found[5] + all).abs() < 1e-9, "{found:?}");
            assert_eq!(found[1], 0.5);
        }
        assert_eq!(added(&[5], &[0.0, 1.0, 0.0])[0], 1.0);
    }

    #[test]
    fn a_head_is_heard_as_much_as_the_route_says() {
        assert_eq!(added(&[5], &[0.75, 0.25, 0.0])[0], 0.25);
        assert_eq!(added(&[5], &[1.0, 0.0, 0.0]), [0.0; 6]);
    }

    #[test]
    fn unknown_phrases_leave_the_bias() {
        for text in [&[][..], &[6], &[7, 7, 7, 7]] {
            assert_eq!(added(text, &[0.0, 1.0, 0.0]), [0.0, 0.5, 0.0, 0.0, 0.0, 0.0], "{text:?}");
        }
    }

    #[test]
    fn hashes_are_fnv_1a_of_whole_ids() {
        let first = (BASIS ^ 2).wrapping_mul(PRIME);
        let second = (first ^ 70_000).wrapping_mul(PRIME);
        assert_eq!(hashes(&[2, 70_000]).collect::<Vec<_>>(), [first, second]);
        assert_eq!(hashes(&[]).count(), 0);
    }
}
