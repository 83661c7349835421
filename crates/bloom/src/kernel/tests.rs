//! Every set of instructions against plain arithmetic and against each other.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::kernel::matrix::{GREATEST_CODE, LANES, QUAD};

/// The outcome of some work with each set of instructions that this processor has.
macro_rules! each {
    ($instructions:ident => $work:expr) => {
        Kernels::available()
            .into_iter()
            .map(|kernels| with_instructions!(kernels, $instructions => $work))
            .collect::<Vec<_>>()
    };
}

fn codes<I: Instructions>(instructions: I, x: &[f32], width: usize) -> Codes {
    let mut codes = Codes::default();
    instructions.quantize(x, width, &mut codes);
    codes
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn all_the_same(outcomes: &[Vec<f32>]) {
    for outcome in outcomes {
        assert_eq!(bits(outcome), bits(&outcomes[0]));
    }
}

/// Small ones or any.
fn weights(count: usize) -> impl Strategy<Value = Vec<i8>> {
    prop_oneof![vec(-64..=64_i8, count), vec(any::<i8>(), count)]
}

/// What a matrix holds for an output and an input, and the output's scale.
fn weight(matrix: &Matrix, output: usize, input: usize) -> (i32, f32) {
    let (panel, lane) = (output / LANES, output % LANES);
    let weight = matrix.panel(panel)[input / QUAD].0[lane][input % QUAD];
    (i32::from(weight), matrix.finish(panel).scale[lane])
}

/// Sizes, then activations, weights, scales and biases of a product.
fn products() -> impl Strategy<Value = (usize, usize, Vec<f32>, Vec<i8>, Vec<f32>, Vec<f32>)> {
    (1..30_usize, 1..70_usize, 1..70_usize).prop_flat_map(|(tokens, inputs, outputs)| {
        (
            Just(inputs),
            Just(outputs),
            vec(-4.0..9.0_f32, tokens * inputs),
            weights(outputs * inputs),
            vec(0.001..0.1_f32, outputs),
            vec(-2.0..2.0_f32, outputs),
        )
    })
}

proptest! {
    #[test]
    fn products_are_exact_for_the_codes((inputs, outputs, x, weights, scale, bias) in products()) {
        let matrix = Matrix::new(weights.iter().copied(), inputs, &scale, &bias);
        let tokens = x.len() / inputs;
        let found = each!(instructions => {
            let mut out = vec![f32::NAN; tokens * outputs];
            instructions.product(&codes(instructions, &x, inputs), &matrix, &mut out);
            out
        });
        all_the_same(&found);
        let codes = codes(portable::Portable, &x, inputs);
        let quads = codes.quads.chunks(matrix.quads());
        for (token, (row, codes)) in codes.rows.iter().zip(quads).enumerate() {
            for output in 0..outputs {
                let inputs = codes.as_flattened()[..inputs].iter().enumerate();
                let sum: i32 = inputs
                    .map(|(input, &code)| (i32::from(code) - row.zero) * weight(&matrix, output, input).0)
                    .sum();
                let (_, scale) = weight(&matrix, output, 0);
                let expected = sum as f32 * (row.scale * scale) + bias[output];
                prop_assert_eq!(found[0][token * outputs + output], expected);
            }
        }
    }

    #[test]
    fn weights_keep_their_values(
        (inputs, weights) in (1..40_usize)
            .prop_flat_map(|inputs| (Just(inputs), weights(inputs * (LANES + 1)))),
    ) {
        let scale = [0.5; LANES + 1];
        let matrix = Matrix::new(weights.iter().copied(), inputs, &scale, &[0.0; LANES + 1]);
        for (output, weights) in weights.chunks(inputs).enumerate() {
            for (input, &given) in weights.iter().enumerate() {
                let (kept, scale) = weight(&matrix, output, input);
                let off = (kept as f32 * scale - f32::from(given) * 0.5).abs();
                let small = weights.iter().all(|weight| weight.unsigned_abs() <= 64);
                prop_assert!(off <= if small { 0.0 } else { 0.501 * scale }, "{given}: {kept}");
            }
        }
    }

    #[test]
    fn codes_are_within_half_a_step(x in vec(-50.0..50.0_f32, 1..200)) {
        let codes = codes(portable::Portable, &x, x.len());
        let row = codes.rows[0];
        for (&code, &value) in codes.quads.as_flattened().iter().zip(&x) {
            let found = (i32::from(code) - row.zero) as f32 * row.scale;
            prop_assert!((found - value).abs() <= 1.01 * row.scale, "{found} for {value}");
        }
        let padding = &codes.quads.as_flattened()[x.len()..];
        prop_assert!(padding.iter().all(|&code| code == 0));
    }

    #[test]
    fn norms_have_mean_0_and_variance_1(x in vec(-3.0..5.0_f32, 2..100), shift in -1.0..1.0_f32) {
        let width = x.len();
        prop_assume!(x.iter().any(|value| (value - x[0]).abs() > 0.1));
        let norm = Norm { weight: vec![1.0; width], bias: vec![0.0; width], epsilon: 1e-12 };
        let found = each!(instructions => {
            let mut x = x.clone();
            instructions.normalize(&mut x, &vec![shift; width], &norm);
            x
        });
        all_the_same(&found);
        let mean = found[0].iter().map(|&v| f64::from(v)).sum::<f64>() / width as f64;
        let variance = found[0].iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / width as f64;
        prop_assert!(mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-3, "{mean} {variance}");
    }

    #[test]
    fn attention_is_softmax_of_scores_times_values(
        (size, qkv) in (1..=40_usize, 1..40_usize)
            .prop_flat_map(|(size, tokens)| (Just(size), vec(-3.0..3.0_f32, tokens * 6 * size))),
    ) {
        let heads = Heads { count: 2, size };
        let width = 2 * size;
        let tokens = qkv.len() / (3 * width);
        let mut room = Room::default();
        let found = each!(instructions => {
            let mut out = vec![f32::NAN; tokens * width];
            instructions.attend(&qkv, heads, &mut room, &mut out);
            out
        });
        all_the_same(&found);
        let part = |token: usize, part: usize, d: usize| {
            f64::from(qkv[(3 * token + part) * width + d])
        };
        for (token, out) in found[0].chunks(width).enumerate() {
            for (d, &found) in out.iter().enumerate() {
                let start = d / size * size;
                let weight = |other: usize| {
                    let dims = start..start + size;
                    let score: f64 = dims.map(|d| part(token, 0, d) * part(other, 1, d)).sum();
                    (score / (size as f64).sqrt()).exp()
                };
                let total: f64 = (0..tokens).map(weight).sum();
                let expected: f64 =
                    (0..tokens).map(|other| weight(other) * part(other, 2, d)).sum::<f64>() / total;
                prop_assert!((f64::from(found) - expected).abs() < 1e-5, "{found} {expected}");
            }
        }
    }
}

#[test]
fn the_greatest_codes_and_weights_do_not_overflow() {
    let x = vec![f32::from(GREATEST_CODE); MOST_INPUTS];
    let weights = [[65, 64], [-65, -64], [127, 127], [127, 0], [-128, -128], [0, -128]];
    for (inputs, pair) in [1536, MOST_INPUTS]
        .into_iter()
        .zip([weights; 2])
        .flat_map(|(inputs, pairs)| pairs.map(|pair| (inputs, pair)))
    {
        let weights = pair.into_iter().cycle().take(inputs * (LANES + 1));
        let matrix = Matrix::new(weights, inputs, &[1.0; LANES + 1], &[0.0; LANES + 1]);
        for found in each!(instructions => {
            let mut out = vec![0.0; LANES + 1];
            instructions.product(&codes(instructions, &x[..inputs], inputs), &matrix, &mut out);
            out
        }) {
            let sum = pair.map(f64::from).iter().sum::<f64>() * inputs as f64 / 2.0;
            let expected = f64::from(GREATEST_CODE) * sum;
            let off = |found: f32| (f64::from(found) / expected - 1.0).abs();
            assert!(
                found.iter().all(|&found| off(found) < 1e-6),
                "{pair:?}: {found:?} for {expected}"
            );
        }
    }
}

#[test]
fn rows_of_any_values_have_codes() {
    for x in [vec![0.0; 5], vec![f32::NAN; 5], vec![f32::INFINITY, -1.0, 0.0], vec![1e-40; 3]] {
        for rows in each!(instructions => codes(instructions, &x, x.len()).rows) {
            assert!((0..=i32::from(GREATEST_CODE)).contains(&rows[0].zero), "{x:?}: {rows:?}");
        }
    }
    assert_eq!(codes(portable::Portable, &[], 3).rows, []);
}

/// Series in `f64`, good to 1e-9 for |x| ≤ 5.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn gelu_is_off_by_at_most_2_millionths() {
    let z: Vec<f32> = (-3000..=3000).map(|step| step as f32 * 0.002).collect();
    let found = each!(instructions => {
        let mut x = z.clone();
        instructions.gelu(&mut x);
        x
    });
    all_the_same(&found);
    for (&z, &found) in z.iter().zip(&found[0]) {
        let z = f64::from(z);
        let expected = 0.5 * z * (1.0 + erf(z / std::f64::consts::SQRT_2));
        assert!((f64::from(found) - expected).abs() < 2e-6, "{z}: {found}, not {expected}");
    }
    for (z, expected) in [(1e6, 1e6), (-1e6, 0.0), (-0.0, 0.0)] {
        let mut x = [z];
        float::gelu(&mut x);
        assert_eq!(x[0].abs(), expected);
    }
}

#[test]
fn exp_is_off_by_at_most_3_ten_millionths() {
    for step in 0..87_000 {
        let x = -step as f32 * 0.001;
        let (found, expected) = (f64::from(float::exp(x)), f64::from(x).exp());
        assert!((found / expected - 1.0).abs() < 3e-7, "{x}: {found}, not {expected}");
    }
    assert_eq!(float::exp(0.0), 1.0);
    assert!(float::exp(f32::NEG_INFINITY) < 1e-37);
}
