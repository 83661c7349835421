//! What the Bloom engine found in questions.

use quizmentor_core::QuestionId;

use super::{
    Analysis,
    encoding::{from_bytes, from_name, refused, rows, to_bytes, to_name},
    sql::Sql,
};
use crate::{Error, Result};

/// To be called in a transaction.
pub(super) async fn put(connection: &mut impl Sql, analyses: &[Analysis]) -> Result<()> {
    let mut sorted: Vec<_> = analyses.iter().collect();
    // Rows are locked in one order, whoever writes; of the same question the last one stays.
    sorted.sort_by(|a, b| a.question.cmp(&b.question));
    for analysis in sorted {
        let (level, embedding) =
            (to_name("level", &analysis.level)?, to_bytes(&analysis.embedding));
        let values = [
            analysis.question.as_str().into(),
            (&analysis.model).into(),
            analysis.stem_hash.as_slice().into(),
            (&level).into(),
            embedding.as_slice().into(),
        ];
        let sql = "INSERT INTO analyses (question, model, stem_hash, level, embedding)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (question) DO UPDATE SET model = excluded.model,
                 stem_hash = excluded.stem_hash, level = excluded.level,
                 embedding = excluded.embedding";
        let put = connection.execute(sql, &values).await;
        put.map_err(|e| refused(e, "analysis", "question"))?;
    }
    Ok(())
}

pub(super) async fn page(
    connection: &mut impl Sql,
    model: &str,
    after: Option<&QuestionId>,
    limit: usize,
) -> Result<Vec<Analysis>> {
    let sql = "SELECT question, stem_hash, level, embedding FROM analyses
         WHERE model = $1 AND question > $2 ORDER BY question LIMIT $3";
    let after = after.map_or("", QuestionId::as_str);
    let found: Vec<(String, Vec<u8>, String, Vec<u8>)> =
        connection.all(sql, &[model.into(), after.into(), rows(limit).into()]).await?;
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
