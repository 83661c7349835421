//! Vectors in eight bits a number: a quarter of the memory to read in a scan, with a bound on
//! what that loses.

/// The largest code; −128 is not used, so that codes are symmetric.
const LARGEST: f32 = 127.0;

/// Rows of codes, all of one dimension. Row x is about `scale` × codes, each number off by at
/// most half of `scale`.
#[derive(Default)]
pub(super) struct Codes {
    codes: Vec<i8>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy)]
struct Row {
    scale: f32,
    /// Sum of the absolute values of what the codes stand for.
    norm: f32,
}

/// A query, coded like a row.
pub(super) struct Query {
    /// Wide enough to be multiplied as they are.
    codes: Vec<i16>,
    scale: f32,
    /// Sum of the absolute values of the query itself.
    norm: f32,
}

impl Query {
    pub(super) fn new(vector: &[f32]) -> Self {
        let scale = scale(vector);
        Self {
            codes: encode(vector, scale).map(i16::from).collect(),
            scale,
            norm: vector.iter().map(|x| x.abs()).sum(),
        }
    }
}

/// What the codes tell of an inner product: it is within `error` of `about`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    pub(super) about: f32,
    pub(super) error: f32,
}

impl Estimate {
    pub(super) fn least(&self) -> f32 {
        self.about - self.error
    }

    pub(super) fn most(&self) -> f32 {
        self.about + self.error
    }
}

impl Codes {
    /// Puts `vector` in the place of row `position`, or after the last one.
    pub(super) fn set(&mut self, position: usize, vector: &[f32]) {
        let scale = scale(vector);
        let start = position * vector.len();
        if position == self.rows.len() {
            self.codes.resize(start + vector.len(), 0);
            self.rows.push(Row { scale: 0.0, norm: 0.0 });
        }
        let mut sum = 0_u32;
        for (place, code) in self.codes[start..].iter_mut().zip(encode(vector, scale)) {
            *place = code;
            sum += u32::from(code.unsigned_abs());
        }
        self.rows[position] = Row { scale, norm: scale * sum as f32 };
    }

    /// Removes row `position`; the last row takes its place.
    pub(super) fn swap_remove(&mut self, position: usize, dimension: usize) {
        let last = self.rows.len() - 1;
        self.codes.copy_within(last * dimension.., position * dimension);
        self.codes.truncate(last * dimension);
        self.rows.swap_remove(position);
    }

    /// The estimate of each row's inner product with `query`, in the rows' order.
    pub(super) fn estimates<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = Estimate> + 'a {
        /// What rounding adds to the errors of vectors of length 1.
        const ROUNDING: f32 = 1e-5;
        self.codes.chunks_exact(query.codes.len()).zip(&self.rows).map(|(codes, row)| Estimate {
            about: dot(&query.codes, codes) as f32 * (query.scale * row.scale),
            error: (query.norm * row.scale + query.scale * row.norm) / 2.0 + ROUNDING,
        })
    }
}

fn scale(vector: &[f32]) -> f32 {
    let largest = vector.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    largest.max(f32::MIN_POSITIVE) / LARGEST
}

fn encode(vector: &[f32], scale: f32) -> impl Iterator<Item = i8> {
    vector.iter().map(move |x| (x / scale).round() as i8)
}

/// Sums of products, which the compiler keeps in vector registers. Exact for up to 130,000
/// numbers.
fn dot(query: &[i16], row: &[i8]) -> i32 {
    query.iter().zip(row).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn the_inner_product_is_within_the_error(
            row in vec(-1.0_f32..1.0, 24), query in vec(-1.0_f32..1.0, 24),
        ) {
            let mut codes = Codes::default();
            codes.set(0, &row);
            let estimate = codes.estimates(&Query::new(&query)).next().unwrap();
            let exact: f64 =
                row.iter().zip(&query).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            prop_assert!(f64::from(estimate.least()) <= exact);
            prop_assert!(exact <= f64::from(estimate.most()));
        }
    }

    #[test]
    fn rows_are_replaced_and_removed() {
        let mut codes = Codes::default();
        for (position, row) in [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]].iter().enumerate() {
            codes.set(position, row);
        }
        codes.set(1, &[0.5, 0.5]);
        codes.swap_remove(0, 2);
        let query = Query::new(&[1.0, 0.0]);
        let about: Vec<f32> = codes.estimates(&query).map(|estimate| estimate.about).collect();
        assert!((about[0] + 1.0).abs() < 1e-6 && (about[1] - 0.5).abs() < 1e-6, "{about:?}");
        assert_eq!(about.len(), 2);
    }
}
