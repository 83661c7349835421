//! Writing the question bank.

use sqlx::SqliteConnection;

use crate::{
    Result,
    records::{Put, rows::QuestionRow},
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
