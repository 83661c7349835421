use std::sync::Arc;

use quizmentor_core::Level;
use quizmentor_store::{
    Error,
    records::{Analysis, Records},
};

use super::contract;
use crate::samples::{question, question_id};

contract!(the_last_analysis_of_a_question_counts, analyses_come_in_pages_by_model);

fn analysis(id: &str, model: &str) -> Analysis {
    Analysis {
        question: question_id(id),
        model: model.into(),
        stem_hash: [7; 32],
        level: Level::Analyze,
        embedding: vec![0.1, -3.5, f32::MIN_POSITIVE, 0.0],
    }
}

async fn the_last_analysis_of_a_question_counts(records: Arc<dyn Records>) {
    let orphan = records.put_analyses(&[analysis("q-1", "m-1")]).await;
    assert!(matches!(orphan, Err(Error::NotFound("question"))), "{orphan:?}");
    records.put_questions(&[question("q-1")]).await.unwrap();
    records.put_analyses(&[analysis("q-1", "m-1")]).await.unwrap();
    assert_eq!(records.analyses("m-1", None, 9).await.unwrap(), [analysis("q-1", "m-1")]);
    let renewed = Analysis { level: Level::Create, stem_hash: [8; 32], ..analysis("q-1", "m-2") };
    records.put_analyses(std::slice::from_ref(&renewed)).await.unwrap();
    assert_eq!(records.analyses("m-1", None, 9).await.unwrap(), []);
    assert_eq!(records.analyses("m-2", None, 9).await.unwrap(), [renewed]);
}

async fn analyses_come_in_pages_by_model(records: Arc<dyn Records>) {
    let ids = ["a", "b", "c", "d"];
    records.put_questions(&ids.map(question)).await.unwrap();
    records.put_analyses(&ids.map(|id| analysis(id, "m"))).await.unwrap();
    records.put_analyses(&[analysis("b", "other")]).await.unwrap();
    let first = records.analyses("m", None, 2).await.unwrap();
    assert_eq!(first, [analysis("a", "m"), analysis("c", "m")]);
    let rest = records.analyses("m", Some(&first[1].question), 2).await.unwrap();
    assert_eq!(rest, [analysis("d", "m")]);
    assert_eq!(records.analyses("m", None, 0).await.unwrap(), []);
}
