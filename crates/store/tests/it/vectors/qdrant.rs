//! What is particular to Qdrant: making the collection, and a server that is away or emptied.

use std::{num::NonZeroUsize, sync::Arc};

use quizmentor_core::Status;
use quizmentor_store::{
    Error,
    vectors::{Qdrant, VectorFilter, Vectors},
};

use super::{fake::Fake, ids, point, search};
use crate::samples::question_id;

const DIMENSION: NonZeroUsize = NonZeroUsize::new(3).unwrap();

fn at(url: &str, collection: &str) -> Qdrant {
    Qdrant::new(url, None, collection, DIMENSION).unwrap()
}

/// Vectors on a server that speaks Qdrant's protocol.
pub(super) async fn on_fake() -> Arc<dyn Vectors> {
    Arc::new(at(&Fake::default().serve().await, "test"))
}

/// An empty collection on the server that `$QDRANT_URL` names, if it is set.
pub(super) async fn on_server(test: &str) -> Option<Arc<dyn Vectors>> {
    let url = std::env::var("QDRANT_URL").ok()?;
    let client = qdrant_client::Qdrant::from_url(&url).build().unwrap();
    let collection = format!("quizmentor-test-{test}");
    client.delete_collection(&collection).await.unwrap();
    Some(Arc::new(at(&url, &collection)))
}

#[tokio::test]
async fn the_collection_is_made_once_with_its_indexes() {
    let fake = Fake::default();
    let url = fake.serve().await;
    let (one, other) = (at(&url, "shared"), at(&url, "shared"));
    let (a, b) = ([point("a", &[1.0, 0.0, 0.0])], [point("b", &[0.0, 1.0, 0.0])]);
    let (first, second) = tokio::join!(one.put(&a), other.put(&b));
    first.unwrap();
    second.unwrap();
    assert_eq!(at(&url, "shared").len().await.unwrap(), 2);
    let (created, mut indexed) = fake.created("shared");
    indexed.sort();
    assert_eq!(indexed, ["language", "level", "skill", "status", "subject"]);
    assert_eq!(created.collection_name, "shared");
}

#[tokio::test]
async fn a_collection_of_another_dimension_is_refused() {
    let url = Fake::default().serve().await;
    at(&url, "shared").put(&[point("a", &[1.0, 0.0, 0.0])]).await.unwrap();
    let other = Qdrant::new(&url, None, "shared", NonZeroUsize::new(4).unwrap()).unwrap();
    let refused = other.len().await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_emptied_server_is_filled_anew() {
    let fake = Fake::default();
    let vectors: Arc<dyn Vectors> = Arc::new(at(&fake.serve().await, "test"));
    vectors.put(&[point("a", &[1.0, 0.0, 0.0])]).await.unwrap();
    fake.clear();
    let gone = vectors.len().await;
    assert!(matches!(gone, Err(Error::Unavailable { .. })), "{gone:?}");
    assert_eq!(vectors.stored(None, 10).await.unwrap().points, []);
    vectors.put(&[point("b", &[1.0, 0.0, 0.0])]).await.unwrap();
    assert_eq!(ids(&search(&vectors, &[1.0, 0.0, 0.0], 10).await), ["b"]);
}

#[tokio::test]
async fn a_server_that_is_away_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let vectors = at(&url, "test");
    let near = vectors.near(&question_id("a"), 0.5, 10).await.map(drop);
    let filter = VectorFilter { status: Some(Status::Draft), ..VectorFilter::default() };
    let search = vectors.search(&[1.0, 0.0, 0.0], &filter, 10).await.map(drop);
    for failed in [near, search, vectors.put(&[point("a", &[1.0, 0.0, 0.0])]).await] {
        let Err(Error::Unavailable { what, .. }) = failed else { panic!("{failed:?}") };
        assert_eq!(what, "collection test of Qdrant");
    }
}

#[test]
fn other_addresses_are_refused() {
    let refused = Qdrant::new("no address", None, "test", DIMENSION).map(|_| ());
    assert!(matches!(refused, Err(Error::Invalid { what: "vectors URL", .. })), "{refused:?}");
}
