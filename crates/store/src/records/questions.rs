//! The question bank. Each database writes it in its own way.

use quizmentor_core::{Level, Question, QuestionId, SkillId};
use sqlx::AssertSqlSafe;

use super::{
    Page, QuestionFilter,
    encoding::{cursor, from_int, from_json, rows, to_name},
    rows::folded,
    sql::{Sql, Value},
};
use crate::Result;

pub(super) async fn get(connection: &mut impl Sql, id: &QuestionId) -> Result<Option<Question>> {
    let sql = "SELECT question FROM questions WHERE id = $1";
    let json: Option<(String,)> = connection.first(sql, &[id.as_str().into()]).await?;
    json.map(|(json,)| from_json("question", &json)).transpose()
}

pub(super) async fn page<C: Sql>(
    connection: &mut C,
    filter: &QuestionFilter,
    after: Option<&QuestionId>,
    limit: usize,
) -> Result<Page<Question>> {
    let wanted = Wanted::new(filter)?;
    let after = after.map_or("", QuestionId::as_str);
    let mut values = vec![after.into(), rows(limit.saturating_add(1)).into()];
    let conditions = wanted.conditions::<C>(filter, &mut values);
    let sql =
        format!("SELECT question FROM questions WHERE id > $1 {conditions} ORDER BY id LIMIT $2");
    let found: Vec<(String,)> = connection.all(AssertSqlSafe(sql), &values).await?;
    let questions =
        found.iter().map(|(json,)| from_json("question", json)).collect::<Result<_>>()?;
    Ok(Page::of(questions, limit))
}

pub(super) async fn changes(
    connection: &mut impl Sql,
    after_revision: u64,
    limit: usize,
) -> Result<Vec<(u64, Question)>> {
    let sql =
        "SELECT revision, question FROM questions WHERE revision > $1 ORDER BY revision LIMIT $2";
    let values = [cursor(after_revision).into(), rows(limit).into()];
    let found: Vec<(i64, String)> = connection.all(sql, &values).await?;
    found
        .into_iter()
        .map(|(revision, json)| {
            Ok((from_int("revision", revision)?, from_json("question", &json)?))
        })
        .collect()
}

pub(super) async fn count<C: Sql>(connection: &mut C, filter: &QuestionFilter) -> Result<u64> {
    let wanted = Wanted::new(filter)?;
    let mut values = Vec::new();
    let conditions = wanted.conditions::<C>(filter, &mut values);
    let sql = format!("SELECT count(*) FROM questions WHERE true {conditions}");
    from_int("count", connection.one(AssertSqlSafe(sql), &values).await?)
}

/// What a filter asks for, as the columns hold it.
struct Wanted {
    status: Option<String>,
    text: Option<String>,
}

impl Wanted {
    fn new(filter: &QuestionFilter) -> Result<Self> {
        let status = filter.status.map(|status| to_name("status", &status)).transpose()?;
        Ok(Self { status, text: filter.text.as_deref().map(folded) })
    }

    /// The conditions of `filter`; adds their parameters to `values`.
    fn conditions<'a, C: Sql>(
        &'a self,
        filter: &'a QuestionFilter,
        values: &mut Vec<Value<'a>>,
    ) -> String {
        let columns = [
            ("subject", filter.subject.as_deref()),
            ("skill", filter.skill.as_ref().map(SkillId::as_str)),
            ("level", filter.level.map(Level::name)),
            ("status", self.status.as_deref()),
        ];
        let mut conditions = String::new();
        for (column, wanted) in columns {
            if wanted.is_some() {
                values.push(wanted.into());
                conditions += &format!(" AND {column} = ${}", values.len());
            }
        }
        if let Some(text) = &self.text {
            values.push(text.as_bytes().into());
            conditions += &format!(" AND {}", C::occurs(values.len()));
        }
        conditions
    }
}
