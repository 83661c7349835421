//! A session under way, as its learner drives it.

use quizmentor_core::Question;
use quizmentor_testkit::{Client, questions::response};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) struct Sitting {
    learner: Client,
    /// As the last reply showed it.
    pub(crate) session: Value,
}

impl Sitting {
    pub(crate) async fn begin(learner: &Client, request: Value) -> Self {
        let session = learner.post("/v1/sessions", &request).await.expect(201);
        Self { learner: learner.clone(), session }
    }

    pub(crate) fn id(&self) -> &str {
        self.session["id"].as_str().unwrap()
    }

    /// Path of the session, and `rest` after it.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/sessions/{}{rest}", self.id())
    }

    /// Id of the question on the table.
    pub(crate) fn asked(&self) -> Option<&str> {
        self.session["next"]["question"]["id"].as_str()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.session["next"].is_null() && self.session["ended_at"].is_string()
    }

    /// An answer with a new id to the question on the table, which is one of `bank`.
    pub(crate) fn submission(&self, bank: &[Question], right: bool) -> Value {
        let presented = &self.session["next"]["question"];
        let asked = bank.iter().find(|question| question.id.as_str() == presented["id"]).unwrap();
        json!({
            "id": Uuid::new_v4(),
            "question": asked.id,
            "response": response(asked, presented, right),
            "elapsed_ms": 4_000,
        })
    }

    /// Answers the question on the table; the whole reply.
    pub(crate) async fn answer(&mut self, bank: &[Question], right: bool) -> Value {
        let submission = self.submission(bank, right);
        let reply = self.learner.post(&self.path("/answers"), &submission).await.expect(200);
        self.session = reply["session"].clone();
        reply
    }
}
