//! The contract of the flags, and what is particular to those of Unleash.

use std::{fs, ops::RangeInclusive};

use quizmentor_core::LearnerId;
use quizmentor_services::flags::{Flags, Shares, Unleash};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::server::{Server, answering, nobody, saying, until};

const LEARNERS: RangeInclusive<u128> = 1..=2_000;

/// Those of the learners that have the flag.
fn having(flags: &dyn Flags, flag: &str) -> Vec<u128> {
    LEARNERS.filter(|n| flags.is_on(flag, LearnerId(Uuid::from_u128(*n)))).collect()
}

/// Flags whose shares a test sets.
enum Subject {
    Settings(Shares),
    Server(Box<OnServer>),
}

/// A server, and the flags that it gives.
struct OnServer {
    server: Server,
    unleash: Unleash,
    _dir: TempDir,
}

impl Subject {
    async fn on_server() -> Self {
        let (server, dir) = (Server::ready().await, tempfile::tempdir().unwrap());
        let unleash = unleash(&server, &dir);
        Self::Server(Box::new(OnServer { server, unleash, _dir: dir }))
    }

    fn flags(&self) -> &dyn Flags {
        match self {
            Self::Settings(shares) => shares,
            Self::Server(on) => &on.unleash,
        }
    }

    async fn flag(&self) -> String {
        match self {
            Self::Settings(_) => format!("flag-{}", Uuid::new_v4().simple()),
            Self::Server(on) => on.server.flag().await,
        }
    }

    /// Gives the feature to so many learners of a hundred.
    async fn give(&mut self, flag: &str, percent: u32) {
        match self {
            Self::Settings(shares) => {
                *shares = Shares::from_iter([(flag.to_owned(), f64::from(percent) / 100.0)]);
            }
            Self::Server(on) => {
                on.server.roll_out(flag, percent).await;
                on.unleash.refresh().await.unwrap();
            }
        }
    }
}

/// Turns functions of flags into tests of each adapter.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod in_settings {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Subject::Settings(super::Shares::default())).await;
            })+
        }

        mod on_unleash {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Subject::on_server().await).await;
            })+
        }
    };
}

contract!(
    nobody_has_an_unknown_feature,
    a_share_of_the_learners_has_a_feature_and_keeps_it_while_the_share_grows,
    features_are_given_independently,
);

async fn nobody_has_an_unknown_feature(mut subject: Subject) {
    assert_eq!(having(subject.flags(), "unknown"), [0; 0]);
    let flag = subject.flag().await;
    subject.give(&flag, 100).await;
    assert_eq!(having(subject.flags(), "unknown"), [0; 0]);
}

async fn a_share_of_the_learners_has_a_feature_and_keeps_it_while_the_share_grows(
    mut subject: Subject,
) {
    let flag = subject.flag().await;
    let mut before = Vec::new();
    for percent in [0, 20, 50, 100] {
        subject.give(&flag, percent).await;
        let now = having(subject.flags(), &flag);
        let expected = 20 * percent as usize;
        assert!(now.len().abs_diff(expected) <= 100, "{percent} %: {}", now.len());
        assert!(percent % 100 > 0 || now.len() == expected, "{percent} %: {}", now.len());
        assert_eq!(now, having(subject.flags(), &flag));
        assert!(
            before.iter().all(|learner| now.contains(learner)),
            "someone lost it at {percent} %"
        );
        before = now;
    }
}

async fn features_are_given_independently(mut subject: Subject) {
    let (one, other) = (subject.flag().await, subject.flag().await);
    subject.give(&one, 50).await;
    let of_one = having(subject.flags(), &one);
    subject.give(&other, 50).await;
    let of_other = having(subject.flags(), &other);
    let both = of_other.iter().filter(|learner| of_one.contains(learner)).count();
    assert!((400..600).contains(&both), "{both}");
}

fn unleash(server: &Server, dir: &TempDir) -> Unleash {
    Unleash::new(&server.api(), &Server::token(), &dir.path().join("flags.json")).unwrap()
}

/// Flags of a server at `address`, with what `dir` holds.
fn elsewhere(address: &str, dir: &TempDir) -> Unleash {
    Unleash::new(address, "token", &dir.path().join("flags.json")).unwrap()
}

#[test]
fn shares_are_told() {
    let shares = Shares::from_iter([("a".to_owned(), 0.25)]);
    assert_eq!((shares.share("a"), shares.share("b")), (Some(0.25), None));
}

#[tokio::test]
async fn changes_are_told_once() {
    let (server, dir) = (Server::ready().await, tempfile::tempdir().unwrap());
    let unleash = unleash(&server, &dir);
    let flag = server.flag().await;
    server.roll_out(&flag, 100).await;
    until(async || {
        unleash.refresh().await.unwrap();
        (having(&unleash, &flag).len() == 2_000).then_some(())
    })
    .await;
    // Tests beside this one change flags as well.
    until(async || (!unleash.refresh().await.unwrap()).then_some(())).await;
    assert_eq!(unleash.share(&flag), None);
}

#[tokio::test]
async fn the_last_flags_outlive_the_server_and_a_restart() {
    let (server, dir) = (Server::ready().await, tempfile::tempdir().unwrap());
    let flag = server.flag().await;
    server.roll_out(&flag, 30).await;
    let before = unleash(&server, &dir);
    before.refresh().await.unwrap();
    let had = having(&before, &flag);
    assert!(!had.is_empty());
    let after = elsewhere(&nobody().await, &dir);
    assert_eq!(having(&after, &flag), had);
    let error = after.refresh().await.unwrap_err().to_string();
    assert!(error.starts_with("Unleash: ") && error.contains("refused"), "{error}");
    assert_eq!(having(&after, &flag), had);
}

#[tokio::test]
async fn the_server_learns_who_had_a_feature() {
    let (server, dir) = (Server::ready().await, tempfile::tempdir().unwrap());
    let flag = server.flag().await;
    server.roll_out(&flag, 30).await;
    let unleash = unleash(&server, &dir);
    unleash.refresh().await.unwrap();
    let had = having(&unleash, &flag).len() as u64;
    unleash.report().await.unwrap();
    let counted =
        until(async || Some(server.counted(&flag).await).filter(|(yes, _)| *yes > 0)).await;
    assert_eq!(counted, (had, 2_000 - had));
}

#[tokio::test]
async fn the_server_takes_an_introduction() {
    let (server, dir) = (Server::ready().await, tempfile::tempdir().unwrap());
    unleash(&server, &dir).introduce().await.unwrap();
}

#[tokio::test]
async fn a_ping_changes_nothing() {
    let (server, dir) = (Server::ready().await, tempfile::tempdir().unwrap());
    let flag = server.flag().await;
    server.roll_out(&flag, 100).await;
    let unleash = unleash(&server, &dir);
    unleash.ping().await.unwrap();
    assert_eq!(having(&unleash, &flag), [0; 0]);
    assert!(!dir.path().join("flags.json").exists());
    elsewhere(&nobody().await, &dir).ping().await.unwrap_err();
}

#[tokio::test]
async fn counts_that_were_not_taken_are_told_later() {
    let (address, mut told) = answering(&[
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ])
    .await;
    let dir = tempfile::tempdir().unwrap();
    let unleash = elsewhere(&address, &dir);
    assert_eq!(having(&unleash, "unknown"), [0; 0]);
    let error = unleash.report().await.unwrap_err().to_string();
    assert_eq!(error, "Unleash: status 503 Service Unavailable");
    assert!(!unleash.is_on("unknown", LearnerId(Uuid::nil())));
    unleash.report().await.unwrap();
    for expected in [2_000, 2_001] {
        let request = told.recv().await.unwrap();
        assert!(request.starts_with("POST /api/client/metrics HTTP/1.1\r\n"), "{request}");
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["appName"], "quizmentor");
        assert_eq!(body["bucket"]["toggles"]["unknown"]["no"], expected);
    }
    unleash.report().await.unwrap();
    assert!(told.try_recv().is_err(), "there was nothing to tell");
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_changes_nothing() {
    let (server, dir) = (Server::ready().await, tempfile::tempdir().unwrap());
    let unleash = elsewhere(&server.api(), &dir);
    let error = unleash.refresh().await.unwrap_err().to_string();
    assert_eq!(error, "Unleash: status 401 Unauthorized");
    assert!(!dir.path().join("flags.json").exists());
}

#[tokio::test]
async fn replies_that_hold_no_flags_change_nothing() {
    for (reply, why) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull"[..], "no flags: invalid type: null"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "no flags: missing field"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "status 302 Found"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 16777217\r\n\r\n{", "over 16777216 bytes"),
        (b"SMTP ready\r\n", "invalid HTTP version"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let unleash = elsewhere(&saying(reply).await, &dir);
        let error = unleash.refresh().await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}\nshould say\n{why}");
        assert!(!dir.path().join("flags.json").exists());
    }
}

#[tokio::test]
async fn a_silent_server_is_left_after_ten_seconds() {
    let refusal = async |reply: &'static [u8]| {
        let dir = tempfile::tempdir().unwrap();
        let unleash = elsewhere(&saying(reply).await, &dir);
        unleash.refresh().await.unwrap_err().to_string()
    };
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{";
    for error in <[_; 2]>::from(tokio::join!(refusal(b""), refusal(half))) {
        assert_eq!(error, "Unleash: no reply within 10s");
    }
}

#[tokio::test]
async fn a_damaged_file_is_as_good_as_none() {
    let (server, dir) = (Server::ready().await, tempfile::tempdir().unwrap());
    fs::write(dir.path().join("flags.json"), b"{\"version\":2,\"features\":[{").unwrap();
    let unleash = unleash(&server, &dir);
    assert_eq!(having(&unleash, "any"), [0; 0]);
    unleash.refresh().await.unwrap();
    let kept = fs::read(dir.path().join("flags.json")).unwrap();
    assert!(serde_json::from_slice::<Value>(&kept).is_ok());
}

#[test]
fn what_is_no_address_or_token_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let new = |address, token| Unleash::new(address, token, dir.path()).err().unwrap().to_string();
    assert!(new("http://a b/api", "token").starts_with("no address of Unleash: "));
    let error = new("http://flags/api", "a\nsecret");
    assert!(error.starts_with("no token of Unleash: ") && !error.contains("secret"), "{error}");
}
