//! Writing the question bank.

use std::collections::HashMap;

use sqlx::{Connection, PgConnection};

use crate::{
    Result,
    records::{Put, rows::QuestionRow},
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
