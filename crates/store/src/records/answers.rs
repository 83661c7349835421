//! The log of answers. Each database writes it in its own way.

use quizmentor_core::LearnerId;

use super::{
    StoredAnswer,
    encoding::{cursor, rows},
    rows::AnswerRow,
    sql::Sql,
};
use crate::Result;

pub(super) async fn of_learner(
    connection: &mut impl Sql,
    learner: LearnerId,
    after_sequence: u64,
    limit: usize,
) -> Result<Vec<StoredAnswer>> {
    let sql =
        "SELECT * FROM answers WHERE learner = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
    let values = [learner.0.into(), cursor(after_sequence).into(), rows(limit).into()];
    let found: Vec<AnswerRow> = connection.all(sql, &values).await?;
    found.into_iter().map(AnswerRow::decode).collect()
}
