//! What the Bloom engine found in questions.

use quizmentor_core::QuestionId;
use sqlx::{Connection, PgConnection};

use crate::{
    Error, Result,
    records::{
        Analysis,
        encoding::{from_bytes, from_name, refused, rows, to_bytes, to_name},
    },
};

pub(super) async fn put(connection: &mut PgConnection, analyses: &[Analysis]) -> Result<()> {
    let mut transaction = connection.begin().await?;
    let mut sorted: Vec<_> = analyses.iter().collect();
    // Rows are locked in one order, whoever writes; of the same question the last one stays.
    sorted.sort_by(|a, b| a.question.cmp(&b.question));
    for analysis in sorted {
        sqlx::query(
            "INSERT INTO analyses (question, model, stem_hash, level, embedding)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (question) DO UPDATE SET model = excluded.model,
                 stem_hash = excluded.stem_hash, level = excluded.level,
                 embedding = excluded.embedding",
        )
        .bind(analysis.question.as_str())
        .bind(&analysis.model)
        .bind(analysis.stem_hash.as_slice())
        .bind(to_name("level", &analysis.level)?)
        .bind(to_bytes(&analysis.embedding))
        .execute(&mut *transaction)
        .await
        .map_err(|e| refused(e, "analysis", "question"))?;
    }
    transaction.commit().await?;
    Ok(())
}

pub(super) async fn page(
    connection: &mut PgConnection,
    model: &str,
    after: Option<&QuestionId>,
    limit: usize,
) -> Result<Vec<Analysis>> {
    let found: Vec<(String, Vec<u8>, String, Vec<u8>)> = sqlx::query_as(
        "SELECT question, stem_hash, level, embedding FROM analyses
         WHERE model = $1 AND question > $2 ORDER BY question LIMIT $3",
    )
    .bind(model)
    .bind(after.map_or("", QuestionId::as_str))
    .bind(rows(limit))
    .fetch_all(connection)
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
