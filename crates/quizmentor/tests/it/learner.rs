//! Learners who practise on a serving process, and what they find afterwards.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::mpsc::Sender,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

/// From one answer to the next.
const REST: Duration = Duration::from_millis(60);
/// From a refusal to the next try.
const RETRY: Duration = Duration::from_millis(100);

/// An answer that was not taken.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// When it was sent.
    pub(crate) sent: Instant,
    /// When it was refused.
    pub(crate) replied: Instant,
    status: u16,
    problem: Value,
}

impl Refusal {
    /// Whether it is the documented problem, with the time to wait.
    pub(crate) fn is_proper(&self) -> bool {
        self.status == 503
            && self.problem["type"] == "urn:quizmentor:problem:unavailable"
            && self.problem["retry_after"].as_u64().is_some_and(|seconds| seconds > 0)
    }
}

/// A guest in a practice session.
pub(crate) struct Learner {
    token: String,
    session: String,
    /// What is to be answered.
    next: Value,
    /// Requests whose answers were acknowledged.
    pub(crate) acknowledged: Vec<Value>,
    /// The request that the last kill left without a reply.
    in_doubt: Option<Value>,
}

impl Learner {
    pub(crate) fn begin(server: SocketAddr) -> Self {
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

    /// The account's id.
    pub(crate) fn id(&self, server: SocketAddr) -> String {
        self.get(server, "/v1/me")["learner"].as_str().unwrap().to_owned()
    }

    /// Answers until the server is gone.
    pub(crate) fn practise(&mut self, server: SocketAddr, acknowledgements: &Sender<()>) {
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

    /// Answers one question, again and again while it is refused, and rests a little: the rate
    /// of one learner is limited.
    pub(crate) fn answer_at_last(&mut self, server: SocketAddr, refusals: &mut Vec<Refusal>) {
        let answer = answer_to(&self.next["question"]);
        let path = format!("/v1/sessions/{}/answers", self.session);
        loop {
            let sent = Instant::now();
            let (status, reply) =
                exchange(server, "POST", &path, &self.token, Some(&answer)).unwrap();
            if status == 200 {
                self.next = reply["session"]["next"].clone();
                self.acknowledged.push(answer);
                break;
            }
            refusals.push(Refusal { sent, replied: Instant::now(), status, problem: reply });
            thread::sleep(RETRY);
        }
        thread::sleep(REST);
    }

    /// Finds every acknowledged answer once, also after sending it again, and goes on.
    pub(crate) fn check(&mut self, server: SocketAddr) {
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
    pub(crate) fn agree(&self, server: SocketAddr) {
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
        let (status, reply) = self.ask(server, "GET", path);
        assert_eq!(status, 200, "{path}: {reply}");
        reply
    }

    /// The status of a request of the learner's own, and the reply.
    pub(crate) fn ask(&self, server: SocketAddr, method: &str, path: &str) -> (u16, Value) {
        exchange(server, method, path, &self.token, None).unwrap()
    }

    /// The path of the session.
    pub(crate) fn session_path(&self) -> String {
        format!("/v1/sessions/{}", self.session)
    }

    /// A request without a body, and without the end of the connection after it.
    pub(crate) fn request(&self, path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\r\n", self.token)
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
pub(crate) fn exchange(
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
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body)? };
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, body))
}
