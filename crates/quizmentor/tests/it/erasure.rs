//! Nothing of an erased learner is left: not in the cache, nor in what any process keeps.

use std::{collections::BTreeMap, time::Duration};

use uuid::Uuid;

use crate::{
    learner::Learner,
    postgres::Postgres,
    process::{Server, until},
    redis::Redis,
};

/// Within this time everyone has forgotten who was erased while the cache was away: there is
/// another try five seconds after the first.
const PATIENCE: Duration = Duration::from_secs(30);

/// The learner, their session and their answers, as text and as bytes.
fn traces(learner: &Learner, id: &str) -> Vec<Vec<u8>> {
    let session = learner.session_path();
    let answers = learner.acknowledged.iter().map(|answer| answer["id"].as_str().unwrap());
    let ids = answers.chain([id, session.rsplit('/').next().unwrap()]);
    ids.flat_map(|id| [id.as_bytes().to_vec(), id.parse::<Uuid>().unwrap().as_bytes().to_vec()])
        .collect()
}

/// Keys and values that hold one of `traces`, and the keys of states.
fn found(content: &BTreeMap<String, Vec<u8>>, traces: &[Vec<u8>]) -> Vec<String> {
    let holds = |bytes: &[u8], trace: &[u8]| bytes.windows(trace.len()).any(|part| part == trace);
    let tells = |(key, value): &(&String, &Vec<u8>)| {
        traces.iter().any(|trace| holds(key.as_bytes(), trace) || holds(value, trace))
    };
    content.iter().filter(tells).map(|(key, _)| key.clone()).collect()
}

/// The sizes of the states in the cache. Of one that was erased nothing is left but its version.
fn states(content: &BTreeMap<String, Vec<u8>>) -> Vec<usize> {
    let states = content.iter().filter(|(key, _)| key.contains(":state:"));
    states.map(|(_, value)| value.len() - "18446744073709551615".len()).collect()
}

fn practise(server: &Server) -> (Learner, String) {
    let mut learner = Learner::begin(server.address);
    for _ in 0..4 {
        learner.answer_at_last(server.address, &mut Vec::new());
    }
    let id = learner.id(server.address);
    (learner, id)
}

#[test]
fn an_erasure_reaches_the_cache_and_the_other_process() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let [first, second] = Server::start_two(&postgres, &redis, &[]);
    let (learner, id) = practise(&first);
    until(PATIENCE, "the state is in the cache", || {
        states(&redis.content()).iter().any(|size| *size > 0)
    });
    assert_eq!(found(&redis.content(), &traces(&learner, &id)), [""; 0]);
    let session = learner.session_path();
    assert_eq!(learner.ask(second.address, "GET", &session).0, 200);

    assert_eq!(learner.ask(first.address, "DELETE", "/v1/me").0, 204);
    until(PATIENCE, "the other forgets", || learner.ask(second.address, "GET", &session).0 == 404);
    assert_eq!(learner.ask(first.address, "GET", &session).0, 404);
    let content = redis.content();
    assert_eq!(states(&content), [0], "{content:?}");
    assert_eq!(found(&content, &traces(&learner, &id)), [""; 0]);
    until(PATIENCE, "the outbox is told", || postgres.query("SELECT count(*) FROM outbox") == "0");
    until(PATIENCE, "nothing is left to do", || postgres.query("SELECT count(*) FROM jobs") == "0");
}

/// A state that was on its way into the cache comes there after the erasure.
#[test]
fn a_write_that_was_under_way_does_not_bring_a_state_back() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let [first, second] = Server::start_two(&postgres, &redis, &[]);
    let (mut learner, id) = practise(&first);
    until(PATIENCE, "the state is in the cache", || {
        states(&redis.content()).iter().any(|size| *size > 0)
    });
    redis.pause();
    learner.answer_at_last(first.address, &mut Vec::new());
    assert_eq!(learner.ask(second.address, "DELETE", "/v1/me").0, 204);
    redis.resume();
    until(PATIENCE, "the erasure is made up for", || {
        postgres.query("SELECT count(*) FROM outbox") == "0"
            && postgres.query("SELECT count(*) FROM jobs") == "0"
    });
    let content = redis.content();
    assert_eq!(states(&content), [0], "{content:?}");
    assert_eq!(found(&content, &traces(&learner, &id)), [""; 0]);
    for server in [&first, &second] {
        assert_eq!(learner.ask(server.address, "GET", &learner.session_path()).0, 404);
    }
}
