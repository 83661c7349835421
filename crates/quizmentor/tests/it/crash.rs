//! An acknowledged answer survives a kill at any moment, and counts once.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc::{self, Sender},
    thread,
    time::Duration,
};

use rand::RngExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::process::Server;

/// Kills in a run of all tests; `CRASH_ROUNDS` in the environment asks for more.
const ROUNDS: u32 = 20;
const LEARNERS: usize = 4;
/// Answers acknowledged before a kill, at most …
const ANSWERS: usize = 60;
/// … and what passes after the last of them, so that the kill hits any part of a request.
const DELAY_MICROS: u64 = 5_000;

#[test]
fn acknowledged_answers_survive_kills_and_count_once() {
    let rounds = match std::env::var("CRASH_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("CRASH_ROUNDS is a number"),
        Err(_) => ROUNDS,
    };
    let dir = tempfile::tempdir().unwrap();
    let start = || Server::start(&[("QUIZMENTOR__SERVER__DATA_DIR", dir.path().to_str().unwrap())]);
    let mut server = start();
    let mut learners: Vec<_> = (0..LEARNERS).map(|_| Learner::begin(server.address)).collect();
    for _ in 0..rounds {
        learners = practise_until_killed(server, learners);
        server = start();
        for learner in &mut learners {
            learner.check(server.address);
        }
    }
}

fn practise_until_killed(server: Server, learners: Vec<Learner>) -> Vec<Learner> {
    let address = server.address;
    let (sender, acknowledgements) = mpsc::channel();
    let practise = |mut learner: Learner| {
        let sender = sender.clone();
        thread::spawn(move || {
            learner.practise(address, &sender);
            learner
        })
    };
    let threads: Vec<_> = learners.into_iter().map(practise).collect();
    drop(sender);
    let mut rng = rand::rng();
    acknowledgements.iter().take(rng.random_range(0..=ANSWERS)).for_each(drop);
    thread::sleep(Duration::from_micros(rng.random_range(0..=DELAY_MICROS)));
    drop(server); // SIGKILL
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

struct Learner {
    token: String,
    session: String,
    /// What is to be answered.
    next: Value,
    /// Requests whose answers were acknowledged.
    acknowledged: Vec<Value>,
    /// The request that the last kill left without a reply.
    in_doubt: Option<Value>,
}

impl Learner {
    fn begin(server: SocketAddr) -> Self {
        let (_, guest) = exchange(server, "POST", "/v1/auth/guest", "", None).unwrap();
        let token = guest["token"].as_str().unwrap().to_owned();
        let body = json!({ "mode": "practice" });
        let (_, session) = exchange(server, "POST", "/v1/sessions", &token, Some(&body)).unwrap();
        Self {
            token,
            session: session["id"].as_str().unwrap().to_owned(),
            next: session["next"].clone(),
            acknowledged: Vec::new(),
            in_doubt: None,
        }
    }

    /// Answers until the server is gone.
    fn practise(&mut self, server: SocketAddr, acknowledgements: &Sender<()>) {
        loop {
            let answer = answer_to(&self.next["question"]);
            let Ok(reply) = self.send(server, &answer) else {
                self.in_doubt = Some(answer);
                return;
            };
            assert_eq!(reply["answer"]["repeated"], false, "{reply}");
            self.next = reply["session"]["next"].clone();
            self.acknowledged.push(answer);
            // The one who kills may have counted enough.
            let _ = acknowledgements.send(());
        }
    }

    /// Finds every acknowledged answer once, also after sending it again, and goes on.
    fn check(&mut self, server: SocketAddr) {
        let stored = self.stored(server);
        for answer in &self.acknowledged {
            assert!(stored.contains_key(&answer["id"].to_string()), "lost: {answer}");
        }
        let resent = self.in_doubt.take().into_iter().chain(self.acknowledged.last().cloned());
        for answer in resent.collect::<Vec<_>>() {
            let known = stored.contains_key(&answer["id"].to_string());
            let reply = self.send(server, &answer).unwrap();
            assert_eq!(reply["answer"]["repeated"], known, "{reply}");
            if !self.acknowledged.contains(&answer) {
                self.acknowledged.push(answer);
            }
        }
        self.agree(server);

        let path = format!("/v1/sessions/{}/next", self.session);
        self.next = self.get(server, &path)["next"].clone();
        let answer = answer_to(&self.next["question"]);
        let reply = self.send(server, &answer).unwrap();
        assert_eq!(reply["answer"]["repeated"], false, "{reply}");
        self.next = reply["session"]["next"].clone();
        self.acknowledged.push(answer);
        self.agree(server);
    }

    /// The log of answers, the session and the learner's state count the same.
    fn agree(&self, server: SocketAddr) {
        let stored = self.stored(server);
        assert_eq!(stored.len(), self.acknowledged.len());
        let session = self.get(server, &format!("/v1/sessions/{}", self.session));
        let correct = stored.values().filter(|&&correct| correct).count();
        assert_eq!(session["answered"], stored.len(), "{session}");
        assert_eq!(session["correct"], correct, "{session}");
        let mastery = self.get(server, "/v1/me/mastery");
        assert_eq!(mastery["overall"]["answers"], stored.len(), "{mastery}");
    }

    /// Every answer that the server has, and whether it is right.
    fn stored(&self, server: SocketAddr) -> HashMap<String, bool> {
        let mut stored = HashMap::new();
        let mut after = json!(0);
        while !after.is_null() {
            let page = self.get(server, &format!("/v1/me/answers?after={after}"));
            for answer in page["answers"].as_array().unwrap() {
                let correct = answer["correct"].as_bool().unwrap();
                let before = stored.insert(answer["id"].to_string(), correct);
                assert_eq!(before, None, "twice: {answer}");
            }
            after = page["next"].clone();
        }
        stored
    }

    fn get(&self, server: SocketAddr, path: &str) -> Value {
        let (status, reply) = exchange(server, "GET", path, &self.token, None).unwrap();
        assert_eq!(status, 200, "{path}: {reply}");
        reply
    }

    /// An error means that no whole reply came.
    fn send(&self, server: SocketAddr, answer: &Value) -> io::Result<Value> {
        let path = format!("/v1/sessions/{}/answers", self.session);
        let (status, reply) = exchange(server, "POST", &path, &self.token, Some(answer))?;
        assert_eq!(status, 200, "{answer}: {reply}");
        Ok(reply)
    }
}

/// Any answer to a question as presented.
fn answer_to(question: &Value) -> Value {
    let body = &question["body"];
    let response = match body["kind"].as_str().unwrap() {
        "single_choice" => json!({ "option": 0 }),
        "multiple_choice" => json!({ "options": [0] }),
        "true_false" => json!({ "truth": true }),
        "short_answer" => json!({ "text": "?" }),
        "numerical" => json!({ "number": 1.0 }),
        "matching" => json!({ "answers": vec![0; body["prompts"].as_array().unwrap().len()] }),
        kind => panic!("practice asked a question of kind {kind}"),
    };
    json!({ "id": Uuid::now_v7(), "question": question["id"], "response": response })
}

/// One request on a connection of its own: the status and the body, if all of it came.
fn exchange(
    server: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(server)?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
         authorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, serde_json::from_str(body)?))
}
