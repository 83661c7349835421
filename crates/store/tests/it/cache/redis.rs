//! What is particular to Redis: a server that goes away, comes back, or wants a password.

use std::{io::Read, net::TcpListener, time::Instant};

use bytes::Bytes;
use quizmentor_store::{
    Error,
    cache::{Cache, Redis},
};

use super::{
    HOUR, MINUTE, SLACK,
    server::{RedisServer, recovery},
};

#[tokio::test]
async fn a_server_that_goes_away_costs_little_time_and_is_found_again() {
    let mut server = RedisServer::start().await;
    let cache = server.cache();
    cache.ping().await.unwrap();
    cache.put("key", 1, Bytes::from("value"), HOUR).await.unwrap();
    let mut news = cache.subscribe("topic").await.unwrap();
    server.kill();
    let begun = Instant::now();
    for _ in 0..1_000 {
        let error = cache.get("key").await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    }
    assert!(begun.elapsed() < SLACK, "{:?}", begun.elapsed());
    assert_eq!(news.recv().await, None, "a subscription ends with its connection");
    assert!(cache.subscribe("topic").await.is_err());
    assert!(cache.ping().await.is_err());

    server.restart().await;
    recovery(&cache).await;
    cache.ping().await.unwrap();
    assert_eq!(cache.get("key").await.unwrap(), None);
    let mut news = cache.subscribe("topic").await.unwrap();
    cache.publish("topic", Bytes::from("back")).await.unwrap();
    assert_eq!(news.recv().await.unwrap(), "back");
}

#[tokio::test]
async fn a_server_may_come_later() {
    let mut server = RedisServer::start().await;
    server.kill();
    let cache = server.cache();
    assert!(matches!(cache.allow("key", 1, MINUTE).await, Err(Error::Unavailable { .. })));
    server.restart().await;
    recovery(&cache).await;
    assert!(cache.allow("key", 1, MINUTE).await.unwrap().allowed);
}

#[tokio::test]
async fn an_emptied_server_goes_on_from_nothing() {
    let server = RedisServer::start().await;
    let cache = server.cache();
    cache.put("key", 2, Bytes::from("value"), HOUR).await.unwrap();
    assert!(cache.allow("key", 1, HOUR).await.unwrap().allowed);
    assert!(!cache.allow("key", 1, HOUR).await.unwrap().allowed);
    let mut connection = server.connection().await;
    redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut connection).await.unwrap();
    assert!(cache.allow("key", 1, HOUR).await.unwrap().allowed);
    assert_eq!(cache.increment("key", 1, HOUR).await.unwrap(), 1);
    assert_eq!(cache.get("key").await.unwrap(), None);
    cache.put("key", 1, Bytes::from("value"), HOUR).await.unwrap();
    assert_eq!(cache.get("key").await.unwrap(), Some((1, Bytes::from("value"))));
}

#[tokio::test]
async fn what_the_server_holds_otherwise_is_nothing() {
    let server = RedisServer::start().await;
    let cache = server.cache();
    let mut connection = server.connection().await;
    for odd in [&b"short"[..], b"", b"no version at all, though long enough"] {
        redis::cmd("SET").arg("test:v:key").arg(odd).exec_async(&mut connection).await.unwrap();
        assert_eq!(cache.get("key").await.unwrap(), None);
        cache.put("key", 1, Bytes::from("value"), HOUR).await.unwrap();
        assert_eq!(cache.get("key").await.unwrap(), Some((1, Bytes::from("value"))));
    }
}

#[tokio::test]
async fn namespaces_are_apart() {
    let server = RedisServer::start().await;
    let (one, other) = (server.cache(), Redis::new(&server.url(), None, "other").unwrap());
    one.put("key", 1, Bytes::from("one"), HOUR).await.unwrap();
    assert_eq!(other.get("key").await.unwrap(), None);
}

#[tokio::test]
async fn a_password_opens_and_is_never_told() {
    let server = RedisServer::start_with(&["--requirepass", "open sesame"]).await;
    let with = |password| Redis::new(&server.url(), password, "test").unwrap();
    with(Some("open sesame")).ping().await.unwrap();
    for password in [None, Some("open barley")] {
        let cache = with(password);
        let error = cache.ping().await.unwrap_err();
        assert!(!format!("{error:?}").contains("open"), "{error:?}");
        assert!(cache.get("key").await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rediss_speaks_tls() {
    const HANDSHAKE: u8 = 22;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rediss://{}", listener.local_addr().unwrap());
    let first_byte = std::thread::spawn(move || {
        let mut byte = [0];
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        byte[0]
    });
    assert!(Redis::new(&url, None, "test").unwrap().ping().await.is_err());
    assert_eq!(first_byte.join().unwrap(), HANDSHAKE);
}

#[test]
fn other_addresses_are_refused() {
    for url in ["", "http://127.0.0.1", "redis://"] {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _on = runtime.enter();
        let refused = Redis::new(url, None, "test").map(|_| ());
        assert!(matches!(refused, Err(Error::Invalid { what: "cache URL", .. })), "{refused:?}");
    }
}
