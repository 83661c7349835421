//! The question bank.

use std::collections::HashMap;

use quizmentor_core::{Question, QuestionId};
use sqlx::{Connection, PgConnection, Postgres, QueryBuilder};

use crate::{
    Result,
    records::{
        Page, Put, QuestionFilter,
        encoding::{cursor, from_int, from_json, rows, to_name},
        rows::{QuestionRow, folded},
    },
};

/// Rows sent in one statement.
const CHUNK: usize = 500;

pub(super) async fn put(
    connection: &mut PgConnection,
    questions: &[QuestionRow<'_>],
) -> Result<Put> {
    let mut transaction = connection.begin().await?;
    // One writer at a time: revisions become visible in their order.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('questions', 0))")
        .execute(&mut *transaction)
        .await?;
    let mut revision: i64 = sqlx::query_scalar("SELECT coalesce(max(revision), 0) FROM questions")
        .fetch_one(&mut *transaction)
        .await?;
    let mut put = Put::default();
    for chunk in questions.chunks(CHUNK) {
        let stored = stored(&mut transaction, chunk).await?;
        let mut stored: HashMap<&str, &str> =
            stored.iter().map(|(id, json)| (id.as_str(), json.as_str())).collect();
        let mut changed = HashMap::new();
        for row in chunk {
            match stored.insert(row.question.id.as_str(), &row.json) {
                Some(json) if json == row.json => continue,
                Some(_) => put.updated += 1,
                None => put.created += 1,
            }
            revision += 1;
            changed.insert(row.question.id.as_str(), (revision, row));
        }
        write(&mut transaction, changed.values()).await?;
    }
    transaction.commit().await?;
    Ok(put)
}

async fn stored(
    connection: &mut PgConnection,
    questions: &[QuestionRow<'_>],
) -> Result<Vec<(String, String)>> {
    let ids: Vec<_> = questions.iter().map(|row| row.question.id.as_str()).collect();
    Ok(sqlx::query_as("SELECT id, question FROM questions WHERE id = ANY($1)")
        .bind(ids)
        .fetch_all(connection)
        .await?)
}

/// Writes questions, each of which occurs once.
pub(super) async fn write<'a>(
    connection: &mut PgConnection,
    questions: impl Iterator<Item = &'a (i64, &'a QuestionRow<'a>)> + Clone,
) -> Result<()> {
    let column = |value: fn(&'a QuestionRow<'a>) -> &'a str| -> Vec<&'a str> {
        questions.clone().map(|(_, row)| value(row)).collect()
    };
    sqlx::query(
        "INSERT INTO questions (id, revision, subject, skill, level, status, search, question)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[],
                              $6::text[], $7::bytea[], $8::text[])
         ON CONFLICT (id) DO UPDATE SET
             revision = excluded.revision, subject = excluded.subject, skill = excluded.skill,
             level = excluded.level, status = excluded.status, search = excluded.search,
             question = excluded.question",
    )
    .bind(column(|row| row.question.id.as_str()))
    .bind(questions.clone().map(|(revision, _)| *revision).collect::<Vec<_>>())
    .bind(column(|row| row.question.subject()))
    .bind(column(|row| row.question.skill.as_str()))
    .bind(questions.clone().map(|(_, row)| row.level).collect::<Vec<_>>())
    .bind(column(|row| &row.status))
    .bind(questions.clone().map(|(_, row)| row.search.as_bytes()).collect::<Vec<_>>())
    .bind(column(|row| &row.json))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn get(
    connection: &mut PgConnection,
    id: &QuestionId,
) -> Result<Option<Question>> {
    let json: Option<String> = sqlx::query_scalar("SELECT question FROM questions WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?;
    json.map(|json| from_json("question", &json)).transpose()
}

pub(super) async fn page(
    connection: &mut PgConnection,
    filter: &QuestionFilter,
    after: Option<&QuestionId>,
    limit: usize,
) -> Result<Page<Question>> {
    let mut query = QueryBuilder::new("SELECT question FROM questions WHERE id > ");
    query.push_bind(after.map_or("", QuestionId::as_str).to_owned());
    push_filter(&mut query, filter)?;
    query.push(" ORDER BY id LIMIT ").push_bind(rows(limit.saturating_add(1)));
    let found: Vec<String> = query.build_query_scalar().fetch_all(connection).await?;
    let items = found
        .iter()
        .take(limit)
        .map(|json| from_json("question", json))
        .collect::<Result<Vec<_>>>()?;
    Ok(Page { more: found.len() > limit, items })
}

pub(super) async fn changes(
    connection: &mut PgConnection,
    after_revision: u64,
    limit: usize,
) -> Result<Vec<(u64, Question)>> {
    let found: Vec<(i64, String)> = sqlx::query_as(
        "SELECT revision, question FROM questions WHERE revision > $1 ORDER BY revision LIMIT $2",
    )
    .bind(cursor(after_revision))
    .bind(rows(limit))
    .fetch_all(connection)
    .await?;
    found
        .into_iter()
        .map(|(revision, json)| {
            Ok((from_int("revision", revision)?, from_json("question", &json)?))
        })
        .collect()
}

pub(super) async fn count(connection: &mut PgConnection, filter: &QuestionFilter) -> Result<u64> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM questions WHERE true");
    push_filter(&mut query, filter)?;
    from_int("count", query.build_query_scalar().fetch_one(connection).await?)
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &QuestionFilter) -> Result<()> {
    let QuestionFilter { subject, skill, level, status, text } = filter;
    if let Some(subject) = subject {
        query.push(" AND subject = ").push_bind(subject.clone());
    }
    if let Some(skill) = skill {
        query.push(" AND skill = ").push_bind(skill.to_string());
    }
    if let Some(level) = level {
        query.push(" AND level = ").push_bind(level.name());
    }
    if let Some(status) = status {
        query.push(" AND status = ").push_bind(to_name("status", status)?);
    }
    if let Some(text) = text {
        let wanted = folded(text).into_bytes();
        query.push(" AND position(").push_bind(wanted).push(" IN search) > 0");
    }
    Ok(())
}
