//! What the Bloom engine found in questions.

use quizmentor_core::QuestionId;
use sqlx::{SqliteConnection, SqlitePool};

use crate::{
    Error, Result,
    records::{
        Analysis,
        encoding::{from_bytes, from_name, refused, rows, to_bytes, to_name},
    },
};

pub(super) async fn put(connection: &mut SqliteConnection, analysis: &Analysis) -> Result<()> {
    sqlx::query(
        "INSERT INTO analyses (question, model, stem_hash, level, embedding)
         VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (question) DO UPDATE SET model = excluded.model,
             stem_hash = excluded.stem_hash, level = excluded.level,
             embedding = excluded.embedding",
    )
    .bind(analysis.question.as_str())
    .bind(analysis.model.as_str())
    .bind(analysis.stem_hash.as_slice())
    .bind(to_name("level", &analysis.level)?)
    .bind(to_bytes(&analysis.embedding))
    .execute(connection)
    .await
    .map_err(|e| refused(e, "analysis", "question"))?;
    Ok(())
}

pub(super) async fn page(
    pool: &SqlitePool,
    model: &str,
    after: Option<&QuestionId>,
    limit: usize,
) -> Result<Vec<Analysis>> {
    let found: Vec<(String, Vec<u8>, String, Vec<u8>)> = sqlx::query_as(
        "SELECT question, stem_hash, level, embedding FROM analyses
         WHERE model = ? AND question > ? ORDER BY question LIMIT ?",
    )
    .bind(model)
    .bind(after.map_or("", QuestionId::as_str))
    .bind(rows(limit))
    .fetch_all(pool)
    .await?;
    found
        .into_iter()
        .map(|(question, stem_hash, level, embedding)| {
            Ok(Analysis {
                question: QuestionId::new(question)
                    .map_err(|e| Error::corrupt("question of an analysis", e))?,
                model: model.to_owned(),
                stem_hash: stem_hash
                    .try_into()
                    .map_err(|_| Error::corrupt("hash of an analysis", "not of 32 bytes"))?,
                level: from_name("level of an analysis", level)?,
                embedding: from_bytes(&embedding)?,
            })
        })
        .collect()
}
