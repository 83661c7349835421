//! The contract of the vectors, and what is particular to each adapter.

mod fake;
mod qdrant;

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use proptest::prelude::*;
use quizmentor_core::{Level, QuestionId, Status};
use quizmentor_store::{
    Error,
    vectors::{Hit, Memory, Payload, Point, VectorFilter, Vectors},
};

use crate::samples::{question_id, skill};

/// Turns functions of vectors of three dimensions into tests of each adapter. Those of Qdrant run
/// on the server that `$QDRANT_URL` names, if it is set, and always on one that speaks its
/// protocol.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(std::sync::Arc::new(super::memory_of(3, 100))).await;
            })+
        }

        mod on_qdrant {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::qdrant::on_fake().await).await;
                if let Some(vectors) = super::qdrant::on_server(stringify!($name)).await {
                    super::$name(vectors).await;
                }
            })+
        }
    };
}

contract!(
    nearest_come_first_and_ties_by_id,
    length_does_not_matter,
    filters_narrow_a_search,
    putting_again_replaces,
    removing_leaves_the_others,
    neighbours_leave_out_the_question_itself,
    unsound_vectors_are_refused_and_change_nothing,
    an_empty_store_finds_nothing,
    what_is_stored_is_listed_in_pages,
);

fn memory_of(dimension: usize, capacity: usize) -> Memory {
    Memory::new(NonZeroUsize::new(dimension).unwrap(), capacity)
}

fn point(id: &str, vector: &[f32]) -> Point {
    let payload = Payload {
        skill: skill("biology/cells"),
        level: None,
        language: "eng".to_owned(),
        status: Status::Published,
    };
    Point { id: question_id(id), vector: vector.to_vec(), payload }
}

fn ids(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.id.as_str()).collect()
}

async fn search(vectors: &Arc<dyn Vectors>, query: &[f32], limit: usize) -> Vec<Hit> {
    vectors.search(query, &VectorFilter::default(), limit).await.unwrap()
}

async fn nearest_come_first_and_ties_by_id(vectors: Arc<dyn Vectors>) {
    let points = [
        point("tie-b", &[0.0, 1.0, 0.0]),
        point("opposite", &[-1.0, 0.0, 0.0]),
        point("tie-a", &[0.0, 0.0, 1.0]),
        point("same", &[1.0, 0.0, 0.0]),
        point("close", &[1.0, 1.0, 0.0]),
        point("tie-c", &[0.0, -1.0, 0.0]),
    ];
    vectors.put(&points).await.unwrap();
    assert_eq!(vectors.len().await.unwrap(), 6);
    let expected = ["same", "close", "tie-a", "tie-b", "tie-c", "opposite"];
    let query = [1.0, 0.0, 0.0];
    for limit in [0, 1, 2, 3, 4, 5, 6, usize::MAX] {
        let hits = search(&vectors, &query, limit).await;
        assert_eq!(ids(&hits), expected[..limit.min(6)], "{limit}");
    }
    let hits = search(&vectors, &query, 6).await;
    for (hit, similarity) in hits.iter().zip([1.0, 0.5_f32.sqrt(), 0.0, 0.0, 0.0, -1.0]) {
        assert!((hit.similarity - similarity).abs() < 1e-6, "{hit:?}");
    }
}

async fn length_does_not_matter(vectors: Arc<dyn Vectors>) {
    let points = [
        point("tiny", &[1e-40, 2e-40, 0.0]),
        point("huge", &[1e38, 2e38, 0.0]),
        point("least", &[0.0, 0.0, f32::from_bits(1)]),
        point("other", &[3.0, 0.0, 0.0]),
    ];
    vectors.put(&points).await.unwrap();
    for query in [[1.0, 2.0, 0.0], [f32::MAX / 2.0, f32::MAX, 0.0]] {
        let hits = search(&vectors, &query, 4).await;
        for hit in &hits[..2] {
            assert!(["tiny", "huge"].contains(&hit.id.as_str()));
            assert!((hit.similarity - 1.0).abs() < 1e-4 && hit.similarity <= 1.0, "{hit:?}");
        }
    }
    assert_eq!(ids(&search(&vectors, &[0.0, 0.0, 1e30], 1).await), ["least"]);
}

async fn filters_narrow_a_search(vectors: Arc<dyn Vectors>) {
    let with = |id, skill_id, level, language: &str, status| Point {
        payload: Payload { skill: skill(skill_id), level, language: language.to_owned(), status },
        ..point(id, &[1.0, 0.0, 0.0])
    };
    let points = [
        with("a", "biology/cells", Some(Level::Apply), "eng", Status::Published),
        with("b", "biology/genes", None, "deu", Status::Draft),
        with("c", "physics/heat", Some(Level::Apply), "eng", Status::Draft),
    ];
    vectors.put(&points).await.unwrap();
    let all = VectorFilter::default;
    for (filter, expected) in [
        (all(), vec!["a", "b", "c"]),
        (VectorFilter { subject: Some("biology".into()), ..all() }, vec!["a", "b"]),
        (VectorFilter { skill: Some(skill("biology/genes")), ..all() }, vec!["b"]),
        (VectorFilter { level: Some(Level::Apply), ..all() }, vec!["a", "c"]),
        (VectorFilter { language: Some("deu".into()), ..all() }, vec!["b"]),
        (VectorFilter { status: Some(Status::Draft), ..all() }, vec!["b", "c"]),
        (
            VectorFilter { subject: Some("biology".into()), status: Some(Status::Draft), ..all() },
            vec!["b"],
        ),
        (VectorFilter { subject: Some("bio".into()), ..all() }, vec![]),
    ] {
        let hits = vectors.search(&[1.0, 0.0, 0.0], &filter, 10).await.unwrap();
        assert_eq!(ids(&hits), expected, "{filter:?}");
    }
}

async fn putting_again_replaces(vectors: Arc<dyn Vectors>) {
    vectors.put(&[point("a", &[1.0, 0.0, 0.0]), point("b", &[0.0, 1.0, 0.0])]).await.unwrap();
    let draft = Payload { status: Status::Draft, ..point("a", &[]).payload };
    let again = Point { payload: draft, ..point("a", &[0.0, 0.0, 1.0]) };
    vectors.put(&[point("a", &[0.0, 1.0, 0.0]), again]).await.unwrap();
    assert_eq!(vectors.len().await.unwrap(), 2);
    let hits = search(&vectors, &[0.0, 0.0, 1.0], 1).await;
    assert_eq!((ids(&hits), hits[0].similarity), (vec!["a"], 1.0));
    let published = VectorFilter { status: Some(Status::Published), ..VectorFilter::default() };
    let hits = vectors.search(&[0.0, 0.0, 1.0], &published, 10).await.unwrap();
    assert_eq!(ids(&hits), ["b"]);
}

async fn removing_leaves_the_others(vectors: Arc<dyn Vectors>) {
    let points =
        [point("a", &[1.0, 0.0, 0.0]), point("b", &[0.0, 1.0, 0.0]), point("c", &[0.0, 0.0, 1.0])];
    vectors.put(&points).await.unwrap();
    let gone = ["a", "absent", "a"].map(question_id);
    vectors.remove(&gone).await.unwrap();
    assert_eq!(vectors.len().await.unwrap(), 2);
    for (id, vector) in [("b", [0.0, 1.0, 0.0]), ("c", [0.0, 0.0, 1.0])] {
        let hits = search(&vectors, &vector, 10).await;
        assert_eq!((hits[0].id.as_str(), hits[0].similarity), (id, 1.0));
        assert_eq!(hits.len(), 2);
    }
    vectors.remove(&["b", "c"].map(question_id)).await.unwrap();
    assert_eq!(vectors.len().await.unwrap(), 0);
    vectors.put(&points).await.unwrap();
    assert_eq!(vectors.len().await.unwrap(), 3);
}

async fn neighbours_leave_out_the_question_itself(vectors: Arc<dyn Vectors>) {
    let points = [
        point("a", &[1.0, 0.0, 0.0]),
        point("twin", &[2.0, 0.0, 0.0]),
        point("near", &[1.0, 0.1, 0.0]),
        point("far", &[0.0, 1.0, 0.0]),
    ];
    vectors.put(&points).await.unwrap();
    let id = question_id("a");
    let near = async |threshold| vectors.near(&id, threshold, 10).await;
    assert_eq!(ids(&near(0.9).await.unwrap()), ["twin", "near"]);
    assert_eq!(ids(&near(1.0).await.unwrap()), ["twin"]);
    assert_eq!(ids(&near(-1.0).await.unwrap()), ["twin", "near", "far"]);
    assert_eq!(ids(&vectors.near(&id, -1.0, 2).await.unwrap()), ["twin", "near"]);
    assert_eq!(ids(&near(1.1).await.unwrap()), Vec::<&str>::new());
    assert!(matches!(near(f32::NAN).await, Err(Error::Invalid { what: "threshold", .. })));
    let absent = vectors.near(&question_id("absent"), 0.5, 10).await;
    assert!(matches!(absent, Err(Error::NotFound(_))), "{absent:?}");
}

async fn unsound_vectors_are_refused_and_change_nothing(vectors: Arc<dyn Vectors>) {
    vectors.put(&[point("a", &[1.0, 0.0, 0.0])]).await.unwrap();
    let unsound: [&[f32]; 7] = [
        &[],
        &[1.0, 0.0],
        &[1.0, 0.0, 0.0, 0.0],
        &[0.0, 0.0, -0.0],
        &[f32::NAN, 1.0, 0.0],
        &[f32::INFINITY, 1.0, 0.0],
        &[f32::NEG_INFINITY, f32::INFINITY, 0.0],
    ];
    for vector in unsound {
        let put = vectors.put(&[point("b", &[0.0, 1.0, 0.0]), point("c", vector)]).await;
        assert!(matches!(put, Err(Error::Invalid { what: "vector", .. })), "{vector:?} {put:?}");
        let found = vectors.search(vector, &VectorFilter::default(), 1).await;
        assert!(matches!(found, Err(Error::Invalid { .. })), "{vector:?} {found:?}");
    }
    assert_eq!(vectors.len().await.unwrap(), 1);
    assert_eq!(ids(&search(&vectors, &[0.0, 1.0, 0.0], 10).await), ["a"]);
}

async fn an_empty_store_finds_nothing(vectors: Arc<dyn Vectors>) {
    vectors.put(&[]).await.unwrap();
    vectors.remove(&[]).await.unwrap();
    assert_eq!(vectors.len().await.unwrap(), 0);
    assert_eq!(search(&vectors, &[1.0, 0.0, 0.0], 10).await, []);
}

async fn what_is_stored_is_listed_in_pages(vectors: Arc<dyn Vectors>) {
    let all = async |limit| {
        let (mut listed, mut from) = (BTreeMap::new(), None::<String>);
        loop {
            let page = vectors.stored(from.as_deref(), limit).await.unwrap();
            assert!(page.points.len() <= limit.max(1));
            for stored in page.points {
                assert_eq!(listed.insert(stored.id, stored.digest), None, "each once");
            }
            from = page.next;
            if from.is_none() {
                return listed;
            }
        }
    };
    assert_eq!(all(3).await, BTreeMap::new());
    let mut points: Vec<_> =
        (0..7_u8).map(|n| point(&format!("q-{n}"), &[1.0, n.into(), 0.0])).collect();
    vectors.put(&points).await.unwrap();
    points[2].vector[2] = 1.0;
    points[4].payload.status = Status::Draft;
    points[5].payload.level = Some(Level::Create);
    points[6].payload.language = "fra".to_owned();
    let before = all(3).await;
    vectors.put(&points).await.unwrap();
    vectors.remove(&[question_id("q-0")]).await.unwrap();
    let expected: BTreeMap<_, _> =
        points[1..].iter().map(|point| (point.id.clone(), point.digest())).collect();
    for limit in [0, 1, 2, 3, 6, 7, 100] {
        assert_eq!(all(limit).await, expected, "{limit}");
    }
    let changed = expected.iter().filter(|(id, digest)| before[*id] != **digest);
    let changed: Vec<_> = changed.map(|(id, _)| id.as_str()).collect();
    assert_eq!(changed, ["q-2", "q-4", "q-5", "q-6"]);
    let wrong = vectors.stored(Some("no page/begins here"), 3).await;
    assert!(matches!(wrong, Err(Error::Invalid { what: "from", .. })), "{wrong:?}");
}

#[tokio::test]
async fn memory_has_the_room_it_was_given() {
    let vectors = memory_of(1, 2);
    let points = ["a", "b", "c"].map(|id| point(id, &[1.0]));
    vectors.put(&points[..1]).await.unwrap();
    let full = vectors.put(&points[1..]).await;
    assert!(matches!(full, Err(Error::Full { .. })), "{full:?}");
    assert_eq!(vectors.len().await.unwrap(), 1, "all or none");
    let repeated = [points[1].clone(), points[0].clone(), points[1].clone()];
    vectors.put(&repeated).await.unwrap();
    vectors.remove(&[question_id("a")]).await.unwrap();
    vectors.put(&points[2..]).await.unwrap();
    assert_eq!(vectors.len().await.unwrap(), 2);
}

fn unit(vector: &[f32]) -> Vec<f64> {
    let length = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|&x| f64::from(x) / length).collect()
}

proptest! {
    /// After any puts and removals a search gives each question's cosine, in order.
    #[test]
    fn searches_agree_with_plain_arithmetic(
        steps in prop::collection::vec(
            (0..8_u8, prop::option::weighted(0.8, prop::collection::vec(-10.0_f32..10.0, 11))),
            1..40,
        ),
        query in prop::collection::vec(-10.0_f32..10.0, 11),
    ) {
        let norm = |vector: &[f32]| vector.iter().map(|x| x * x).sum::<f32>();
        let sound = |vector: &[f32]| norm(vector) > 1e-3;
        prop_assume!(sound(&query) && steps.iter().all(|(_, v)| v.as_deref().is_none_or(sound)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let vectors = memory_of(11, 8);
            let mut model = BTreeMap::<QuestionId, Vec<f32>>::new();
            for (id, vector) in &steps {
                let id = question_id(&format!("q-{id}"));
                if let Some(vector) = vector {
                    vectors.put(&[point(id.as_str(), vector)]).await.unwrap();
                    model.insert(id, vector.clone());
                } else {
                    vectors.remove(std::slice::from_ref(&id)).await.unwrap();
                    model.remove(&id);
                }
            }
            let hits = vectors.search(&query, &VectorFilter::default(), 8).await.unwrap();
            assert_eq!(hits.len(), model.len());
            assert!(hits.is_sorted_by(|a, b| {
                a.similarity > b.similarity || (a.similarity == b.similarity && a.id < b.id)
            }));
            for hit in hits {
                let cosine: f64 =
                    unit(&query).iter().zip(unit(&model[&hit.id])).map(|(x, y)| x * y).sum();
                assert!((f64::from(hit.similarity) - cosine).abs() < 1e-5, "{hit:?} {cosine}");
            }
        });
    }

    /// Though it reads codes, a search finds the nearest, and no others.
    #[test]
    fn searches_find_exactly_the_nearest(
        rows in prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 16), 20..200),
        query in prop::collection::vec(-1.0_f32..1.0, 16),
        limit in 1..20_usize,
    ) {
        prop_assume!(rows.iter().chain([&query]).all(|v| v.iter().any(|x| x.abs() > 0.01)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let vectors = memory_of(16, 200);
            let points: Vec<_> =
                rows.iter().enumerate().map(|(n, row)| point(&format!("q-{n}"), row)).collect();
            vectors.put(&points).await.unwrap();
            let all = vectors.search(&query, &VectorFilter::default(), rows.len()).await.unwrap();
            let found = vectors.search(&query, &VectorFilter::default(), limit).await.unwrap();
            assert_eq!(found, all[..limit]);
        });
    }
}
