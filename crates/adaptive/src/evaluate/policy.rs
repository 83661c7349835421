//! Two policies compared on an exported log of answers.

use std::io::Read;

use serde::{Deserialize, Serialize};

use super::{BadRows, row_error};
use crate::{
    Error,
    policy::{Logged, PolicyReport, Tally, TallyReport, Value, evaluate},
};

/// What a log says of two policies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What the serving policy earned; absent when it chose nothing in the log.
    pub serving: Option<TallyReport>,
    /// What the candidate would have earned, estimated from the choices of the serving policy.
    pub candidate_off_policy: PolicyReport,
    /// What the candidate earned where it served itself; absent when it did not.
    pub candidate_served: Option<TallyReport>,
    /// Where both served: the candidate's mean reward less that of the serving policy.
    pub difference_served: Option<Value>,
    /// Rows of other policies, and of answers that are not scored.
    pub rows_other: u64,
    /// Rows that could not be used and were passed over.
    pub rows_skipped: u64,
}

#[derive(Deserialize)]
struct Row {
    policy: String,
    propensity: f64,
    credit: f64,
    predicted: f64,
    #[serde(default)]
    chances: String,
    #[serde(default = "scored")]
    scored: u8,
}

fn scored() -> u8 {
    1
}

impl Row {
    /// Propensity and mean prediction of a policy, from `policy=propensity:prediction;…`.
    fn chance(&self, policy: &str) -> Result<(f64, f64), String> {
        let of = |entry: &str| Some((entry.strip_prefix(policy)?.strip_prefix('=')?).to_owned());
        let entry = self.chances.split(';').find_map(of);
        let entry = entry.ok_or_else(|| format!("chances tells nothing of {policy}"))?;
        let numbers = entry.split_once(':').map(|(a, b)| (a.parse(), b.parse()));
        match numbers {
            Some((Ok(propensity), Ok(predicted))) => Ok((propensity, predicted)),
            _ => Err(format!("chances of {policy} are “{entry}”; two numbers expected")),
        }
    }
}

/// Compares `candidate` with the policy `serving` on `log`, a CSV with the columns `policy`,
/// `propensity`, `credit`, `predicted` and `chances`, and optionally `scored`. The reward of a
/// choice is the credit of its answer.
///
/// A logged propensity is the probability of the choice given the abilities that were drawn and the
/// short list that was made for it. The candidate's chance is that under the same draws and list;
/// what it would have done with another short list is not asked.
///
/// Memory does not grow with rows.
///
/// # Errors
/// When the file cannot be read or lacks a column, or holds a bad row and `bad_rows` refuses it.
pub fn policies(
    log: impl Read,
    serving: &str,
    candidate: &str,
    bad_rows: BadRows,
) -> Result<Comparison, Error> {
    let mut rows = Rows {
        reader: csv::Reader::from_reader(log),
        names: [serving, candidate],
        bad_rows,
        tallies: [Tally::default(); 2],
        other: 0,
        skipped: 0,
        failed: None,
    };
    rows.check_columns()?;
    let candidate_off_policy = evaluate(&mut rows);
    if let Some(error) = rows.failed {
        return Err(error);
    }
    let [serving, candidate] = rows.tallies;
    Ok(Comparison {
        serving: serving.report(),
        candidate_off_policy,
        candidate_served: candidate.report(),
        difference_served: candidate.difference(&serving),
        rows_other: rows.other,
        rows_skipped: rows.skipped,
    })
}

/// The choices of the serving policy; counts those of the candidate on the way.
struct Rows<'a, R> {
    reader: csv::Reader<R>,
    names: [&'a str; 2],
    bad_rows: BadRows,
    tallies: [Tally; 2],
    other: u64,
    skipped: u64,
    failed: Option<Error>,
}

impl<R: Read> Rows<'_, R> {
    fn check_columns(&mut self) -> Result<(), Error> {
        let header = self.reader.headers().map_err(|e| row_error(0, &e))?;
        let needed = ["policy", "propensity", "credit", "predicted", "chances"];
        let is_absent = |name: &&str| !header.is_empty() && !header.iter().any(|h| h == *name);
        match needed.into_iter().find(is_absent) {
            Some(column) => Err(Error::MissingColumn(column)),
            None => Ok(()),
        }
    }

    /// The next row, read and counted; `None` inside when it is no choice of the serving policy.
    fn row(&mut self) -> Option<Result<Option<Logged>, Error>> {
        let mut record = csv::StringRecord::new();
        let line = self.reader.position().line();
        match self.reader.read_record(&mut record) {
            Ok(false) => return None,
            Ok(true) => {}
            Err(error) => return Some(Err(row_error(line, &error))),
        }
        let line = record.position().map_or(line, csv::Position::line);
        let row = record.deserialize::<Row>(self.reader.headers().ok());
        let row = row.map_err(|error| row_error(line, &error));
        Some(row.and_then(|row| self.logged(&row).map_err(|reason| Error::Row { line, reason })))
    }

    fn logged(&mut self, row: &Row) -> Result<Option<Logged>, String> {
        let served = self.names.iter().position(|name| row.policy == *name);
        let Some(served) = served.filter(|_| row.scored == 1) else {
            self.other += 1;
            return Ok(None);
        };
        let chance = (served == 0).then(|| row.chance(self.names[1])).transpose()?;
        if ![row.credit, row.predicted].iter().all(|x| (0.0..=1.0).contains(x)) {
            return Err("credit and predicted must be within 0 to 1".to_owned());
        }
        self.tallies[served].add(row.credit, row.predicted);
        Ok(chance.map(|(target, predicted_target)| Logged {
            propensity: row.propensity,
            target,
            reward: row.credit,
            predicted: row.predicted,
            predicted_target,
        }))
    }
}

impl<R: Read> Iterator for Rows<'_, R> {
    type Item = Logged;

    fn next(&mut self) -> Option<Logged> {
        while self.failed.is_none() {
            match self.row()? {
                Ok(Some(logged)) => return Some(logged),
                Ok(None) => {}
                Err(Error::Row { .. }) if self.bad_rows == BadRows::Skip => self.skipped += 1,
                Err(error) => self.failed = Some(error),
            }
        }
        None
    }
}
