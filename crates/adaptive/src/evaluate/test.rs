//! Adaptive tests of simulated examinees of known ability.

use std::{io::Read, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::row_error;
use crate::{
    Error,
    cat::{Ability, Bank, Exposure, Parameters},
};

/// What a run of adaptive tests measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatReport {
    /// Mean items until the standard error is below 0.3, or the bank or 120 items are used up.
    pub items_mean: f64,
    /// The 95th percentile of these.
    pub items_p95: u32,
    /// Root mean squared error of the ability after 10 items.
    pub rmse_10: f64,
    /// The same after 20 items.
    pub rmse_20: f64,
    /// Share of the bank that some test used, 0 to 1.
    pub bank_used: f64,
    /// Share of the tests in which the most used item came up, 0 to 1.
    pub top_exposure: f64,
    /// Mean nanoseconds of choosing an item.
    pub ns_per_selection: f64,
}

/// No item's discrimination is above this …
const MOST_DISCRIMINATING: f64 = 10.0;
/// … and no difficulty or ability further from 0, in logits.
const FURTHEST: f64 = 20.0;
/// A test stops below this standard error …
const STOP: f64 = 0.3;
/// … or after this many items.
const LONGEST: usize = 120;
/// Every test goes on to this many items for the errors; what comes after its stop is not counted
/// as exposure.
const MEASURED: usize = 20;

#[derive(Deserialize)]
struct BankRow {
    a: f64,
    b: f64,
    #[serde(default)]
    c: f64,
}

#[derive(Deserialize)]
struct ThetaRow {
    theta: f64,
}

/// Tests the examinees of `thetas` (column `theta`) with the items of `bank` (columns `a`, `b` and
/// optionally `c`); of the examinees at most the share `cap` sees an item. `elapsed` gives the time
/// since some fixed moment.
///
/// # Errors
/// When a file cannot be read, lacks a column, holds no rows, or a number is out of its range.
pub fn cat(
    bank: impl Read,
    thetas: impl Read,
    cap: Option<f64>,
    elapsed: impl Fn() -> Duration,
) -> Result<CatReport, Error> {
    if let Some(cap) = cap.filter(|cap| !(*cap > 0.0 && *cap <= 1.0)) {
        return Err(Error::Parameter(format!(
            "an exposure cap of {cap} is not above 0 and at most 1"
        )));
    }
    let items = rows(bank, |BankRow { a, b, c }: BankRow| {
        if !(a > 0.0 && a <= MOST_DISCRIMINATING) {
            return Err(format!("a is {a}; above 0 and at most {MOST_DISCRIMINATING} expected"));
        }
        if !(0.0..1.0).contains(&c) {
            return Err(format!("c is {c}; 0 to below 1 expected"));
        }
        logits("b", b)?;
        Ok(Parameters { discrimination: a, difficulty: b, guess: c })
    })?;
    let thetas: Vec<f64> = rows(thetas, |ThetaRow { theta }| logits("theta", theta))?;
    let bank = Bank::new(items);
    let exposure = Exposure::new(bank.items().len(), cap.unwrap_or(1.0));
    let mut run = Run { bank, exposure, used: Vec::new(), selections: 0, spent: Duration::ZERO };
    let tests: Vec<Test> =
        (0..).zip(&thetas).map(|(examinee, &theta)| run.test(examinee, theta, &elapsed)).collect();
    Ok(run.report(&tests))
}

fn logits(name: &str, value: f64) -> Result<f64, String> {
    if value.abs() <= FURTHEST {
        return Ok(value);
    }
    Err(format!("{name} is {value}; −{FURTHEST} to {FURTHEST} expected"))
}

/// The rows of a CSV, each checked.
fn rows<T: DeserializeOwned, U>(
    source: impl Read,
    check: impl Fn(T) -> Result<U, String>,
) -> Result<Vec<U>, Error> {
    let mut reader = csv::Reader::from_reader(source);
    let headers = reader.headers().map_err(|error| row_error(1, &error))?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| row_error(1, &error))?;
        let line = record.position().map_or(1, csv::Position::line);
        let row = record.deserialize(Some(&headers)).map_err(|error| row_error(line, &error))?;
        rows.push(check(row).map_err(|reason| Error::Row { line, reason })?);
    }
    if rows.is_empty() {
        return Err(Error::Row { line: 2, reason: "no rows".to_owned() });
    }
    Ok(rows)
}

/// What became of one examinee: items asked, those to the stop, errors after 10 and 20 items.
struct Test {
    asked: usize,
    items: usize,
    errors: [f64; 2],
}

struct Run {
    bank: Bank,
    exposure: Exposure,
    used: Vec<bool>,
    selections: u64,
    spent: Duration,
}

impl Run {
    fn test(&mut self, examinee: u64, theta: f64, elapsed: &impl Fn() -> Duration) -> Test {
        self.exposure.begin();
        self.used.clear();
        self.used.resize(self.bank.items().len(), false);
        let mut ability = Ability::new();
        let mut test = Test { asked: 0, items: 0, errors: [f64::NAN; 2] };
        for asked in 1..=LONGEST {
            let start = elapsed();
            let chosen = self
                .bank
                .select_capped(&ability, &self.exposure, |index| !self.used[index as usize]);
            self.spent += elapsed().saturating_sub(start);
            self.selections += 1;
            let Some(index) = chosen else { break };
            test.asked = asked;
            self.used[index as usize] = true;
            if test.items == 0 {
                self.exposure.note(index);
            }
            let item = self.bank.items()[index as usize];
            ability = ability.after(&item, answers_right(examinee, index, item.probability(theta)));
            let estimate = ability.estimate();
            match asked {
                10 => test.errors[0] = estimate.mean - theta,
                20 => test.errors[1] = estimate.mean - theta,
                _ => {}
            }
            if test.items == 0 && estimate.error < STOP {
                test.items = asked;
            }
            if test.items > 0 && asked >= MEASURED {
                return test;
            }
        }
        test.items = if test.items == 0 { test.asked } else { test.items };
        test
    }

    fn report(&self, tests: &[Test]) -> CatReport {
        let mut items: Vec<usize> = tests.iter().map(|test| test.items).collect();
        items.sort_unstable();
        let n = tests.len() as f64;
        let rmse = |at: usize| {
            let known: Vec<f64> =
                tests.iter().map(|t| t.errors[at]).filter(|e| !e.is_nan()).collect();
            (known.iter().map(|e| e * e).sum::<f64>() / known.len().max(1) as f64).sqrt()
        };
        let counts = self.exposure.counts();
        let used = counts.iter().filter(|&&count| count > 0).count();
        CatReport {
            items_mean: items.iter().sum::<usize>() as f64 / n,
            items_p95: items[(items.len() * 95 / 100).min(items.len() - 1)] as u32,
            rmse_10: rmse(0),
            rmse_20: rmse(1),
            bank_used: used as f64 / counts.len() as f64,
            top_exposure: f64::from(counts.iter().copied().max().unwrap_or(0)) / n,
            ns_per_selection: self.spent.as_nanos() as f64 / self.selections.max(1) as f64,
        }
    }
}

/// Whether examinee `j` answers item `i` right: a splitmix64 draw below `probability`, so that all
/// engines meet the same answers.
fn answers_right(j: u64, i: u32, probability: f64) -> bool {
    let mut z = (j << 32).wrapping_add(u64::from(i) + 1).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    ((z >> 11) as f64 / (1_u64 << 53) as f64) < probability
}
