//! The question bank.

use quizmentor_core::{Question, QuestionId};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use crate::{
    Result,
    records::{
        Page, Put, QuestionFilter,
        encoding::{cursor, from_int, from_json, rows, to_name},
        rows::{QuestionRow, folded},
    },
};

pub(super) async fn put(
    connection: &mut SqliteConnection,
    rows: &[QuestionRow<'_>],
) -> Result<Put> {
    let mut revision: i64 = sqlx::query_scalar("SELECT coalesce(max(revision), 0) FROM questions")
        .fetch_one(&mut *connection)
        .await?;
    let mut put = Put::default();
    for row in rows {
        let old: Option<String> = sqlx::query_scalar("SELECT question FROM questions WHERE id = ?")
            .bind(row.question.id.as_str())
            .fetch_optional(&mut *connection)
            .await?;
        match old {
            Some(json) if json == row.json => continue,
            Some(_) => put.updated += 1,
            None => put.created += 1,
        }
        revision += 1;
        write(&mut *connection, revision, row).await?;
    }
    Ok(put)
}

pub(super) async fn write(
    connection: &mut SqliteConnection,
    revision: i64,
    row: &QuestionRow<'_>,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO questions (id, revision, subject, skill, level, status, search, question)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET
             revision = excluded.revision, subject = excluded.subject, skill = excluded.skill,
             level = excluded.level, status = excluded.status, search = excluded.search,
             question = excluded.question",
    )
    .bind(row.question.id.as_str())
    .bind(revision)
    .bind(row.question.subject())
    .bind(row.question.skill.as_str())
    .bind(row.level)
    .bind(&row.status)
    .bind(&row.search)
    .bind(&row.json)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn get(pool: &SqlitePool, id: &QuestionId) -> Result<Option<Question>> {
    let json: Option<String> = sqlx::query_scalar("SELECT question FROM questions WHERE id = ?")
        .bind(id.as_str())
        .fetch_optional(pool)
        .await?;
    json.map(|json| from_json("question", &json)).transpose()
}

pub(super) async fn page(
    pool: &SqlitePool,
    filter: &QuestionFilter,
    after: Option<&QuestionId>,
    limit: usize,
) -> Result<Page<Question>> {
    let mut query = QueryBuilder::new("SELECT question FROM questions WHERE id > ");
    query.push_bind(after.map_or("", QuestionId::as_str).to_owned());
    push_filter(&mut query, filter)?;
    query.push(" ORDER BY id LIMIT ").push_bind(rows(limit.saturating_add(1)));
    let found: Vec<String> = query.build_query_scalar().fetch_all(pool).await?;
    let items = found
        .iter()
        .take(limit)
        .map(|json| from_json("question", json))
        .collect::<Result<Vec<_>>>()?;
    Ok(Page { more: found.len() > limit, items })
}

pub(super) async fn changes(
    pool: &SqlitePool,
    after_revision: u64,
    limit: usize,
) -> Result<Vec<(u64, Question)>> {
    let found: Vec<(i64, String)> = sqlx::query_as(
        "SELECT revision, question FROM questions WHERE revision > ? ORDER BY revision LIMIT ?",
    )
    .bind(cursor(after_revision))
    .bind(rows(limit))
    .fetch_all(pool)
    .await?;
    found
        .into_iter()
        .map(|(revision, json)| {
            Ok((from_int("revision", revision)?, from_json("question", &json)?))
        })
        .collect()
}

pub(super) async fn count(pool: &SqlitePool, filter: &QuestionFilter) -> Result<u64> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM questions WHERE true");
    push_filter(&mut query, filter)?;
    from_int("count", query.build_query_scalar().fetch_one(pool).await?)
}

fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &QuestionFilter) -> Result<()> {
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
        query.push(" AND instr(search, ").push_bind(folded(text)).push(") > 0");
    }
    Ok(())
}
