//! Values to store.

use quizmentor_core::{
    AcceptedNumber, AcceptedText, AnswerId, Body, Choice, LearnerId, Level, Mode, Pair,
    PendingQuestion, Question, QuestionId, Quota, Response, Session, SessionId, SignedDuration,
    SkillId, Status, TestPlan, TextFormat, Timestamp,
};
use quizmentor_store::records::{Answer, AnswerCommit, Event, VersionedState};
use serde_json::json;
use uuid::Uuid;

/// What text has to survive: accents, other scripts, an emoji of several code points, quotes and
/// control characters.
pub(crate) const ODD_TEXT: &str = "Żółć, 細胞, עברית, 👩🏽‍🔬, ' \" \\ % _ \r\n\t \u{7f} \u{fffd}";

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::new(1_700_000_000 + seconds, 123_456_000).unwrap()
}

pub(crate) fn learner(n: u128) -> LearnerId {
    LearnerId(Uuid::from_u128(n))
}

pub(crate) fn session_id(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(n))
}

pub(crate) fn answer_id(n: u128) -> AnswerId {
    AnswerId(Uuid::from_u128(n))
}

pub(crate) fn question_id(id: &str) -> QuestionId {
    QuestionId::new(id).unwrap()
}

pub(crate) fn skill(id: &str) -> SkillId {
    SkillId::new(id).unwrap()
}

pub(crate) fn question(id: &str) -> Question {
    Question {
        id: question_id(id),
        skill: skill("biology/cells"),
        subject_name: "Biology".into(),
        skill_name: "Cells".into(),
        title: format!("Title of {id}"),
        stem: "Which organelle makes most ATP?".into(),
        format: TextFormat::Plain,
        body: Body::TrueFalse {
            key: true,
            feedback_right: "Yes.".into(),
            feedback_wrong: "No.".into(),
        },
        explanation: String::new(),
        level: Some(Level::Remember),
        difficulty: None,
        tags: vec![],
        status: Status::Published,
    }
}

/// A question of each kind, with values at the edges.
pub(crate) fn questions_of_every_kind() -> Vec<Question> {
    let choice = |text: &str, credit| Choice { text: text.into(), credit, feedback: text.into() };
    let bodies = [
        Body::SingleChoice { options: vec![choice(ODD_TEXT, 1.0), choice("b", -0.333_33)] },
        Body::MultipleChoice {
            options: vec![choice("a", 1.0 / 3.0), choice("b", 0.1 + 0.2), choice("c", -1e-300)],
        },
        Body::TrueFalse { key: false, feedback_right: ODD_TEXT.into(), feedback_wrong: "".into() },
        Body::ShortAnswer {
            accepted: vec![AcceptedText { text: "*\\*".into(), credit: 0.7, feedback: "".into() }],
        },
        Body::Numerical {
            accepted: vec![AcceptedNumber {
                min: f64::MIN,
                max: 5e-324,
                credit: 1.0,
                feedback: "0".into(),
            }],
        },
        Body::Matching { pairs: vec![Pair { prompt: "".into(), answer: ODD_TEXT.into() }] },
        Body::Essay,
    ];
    let kinds = bodies.into_iter().enumerate().map(|(i, body)| Question {
        stem: ODD_TEXT.repeat(i + 1),
        format: [TextFormat::Plain, TextFormat::Markdown, TextFormat::Html][i % 3],
        explanation: "x".repeat(i * 1_000),
        level: Level::from_index(i),
        difficulty: (i > 0).then_some(i as u8),
        tags: (0..i).map(|t| format!("tag {t}")).collect(),
        status: [Status::Published, Status::Draft, Status::Archived][i % 3],
        body,
        ..question(&format!("kind-{i}"))
    });
    kinds.collect()
}

pub(crate) fn session(id: SessionId, learner: LearnerId) -> Session {
    Session {
        id,
        learner,
        mode: Mode::Practice,
        subject: Some("biology".into()),
        skills: vec![],
        target: None,
        started_at: at(0),
        ended_at: None,
        answered: 0,
        correct: 0,
        test: None,
        asked: vec![],
        outcomes: vec![],
        measured: json!(null),
        flow: json!(null),
        pending: None,
        version: 0,
    }
}

/// A session with every field set.
pub(crate) fn full_session(id: SessionId, learner: LearnerId) -> Session {
    let pending = PendingQuestion {
        content: Uuid::from_u128(5),
        question: question_id("kind-1"),
        order: vec![2, 0, 1, 255],
        shown_at: Timestamp::new(1_700_000_000, 123_456_789).unwrap(),
        why: json!({"text": ODD_TEXT, "terms": [0.1, -1, u64::MAX, null, {"a": true}]}).into(),
        propensity: 1.0 / 3.0,
        predicted: 0.1 + 0.2,
        pilot: true,
        chances: json!([{"policy": "practice-2", "propensity": 1e-12}]).into(),
    };
    let test = TestPlan {
        blueprint: vec![Quota { skill: None, level: Some(Level::Apply), share: 1.0 / 3.0 }],
        standard_error: Some(0.3),
        cut: Some(0.7),
        exposure: Some(0.25),
        ..TestPlan::default()
    };
    Session {
        mode: Mode::Test,
        skills: vec![skill("biology/cells"), skill("physics/motion")],
        target: Some(0.85),
        ended_at: Some(Timestamp::MAX),
        answered: u32::MAX,
        correct: 7,
        test: Some(test),
        asked: vec![question_id("kind-1"), question_id("kind-0")],
        outcomes: vec![Some(true), None],
        flow: json!({"surprise": 0.1 + 0.2}),
        pending: Some(pending),
        ..session(id, learner)
    }
}

pub(crate) fn responses() -> Vec<Response> {
    vec![
        Response::Option { option: 255 },
        Response::Options { options: vec![] },
        Response::Options { options: vec![3, 1] },
        Response::Truth { truth: false },
        Response::Text { text: format!("{ODD_TEXT}\0") },
        Response::Number { number: 0.1 + 0.2 },
        Response::Number { number: 4.0 },
        Response::Matches { answers: vec![1, 0, 2] },
    ]
}

/// The event that tells of the erasure of `learner`.
pub(crate) fn erased(learner: LearnerId) -> Event {
    Event { kind: "learner.erased".into(), payload: json!({ "learner": learner }), at: at(3) }
}

/// The answer that takes `session` from the version it has to the next one, to question `q-1`.
pub(crate) fn commit(id: AnswerId, session: &Session) -> AnswerCommit {
    let after =
        Session { answered: session.answered + 1, version: session.version + 1, ..session.clone() };
    AnswerCommit {
        answer: Answer {
            id,
            learner: session.learner,
            session: session.id,
            question: question_id("q-1"),
            skill: skill("biology/cells"),
            response: Response::Truth { truth: true },
            credit: 1.0,
            correct: true,
            elapsed_ms: Some(1_234),
            at: at(1) + SignedDuration::from_secs(after.version as i64),
            predicted: 0.75,
            propensity: 0.125,
            policy: "practice-1".into(),
            snapshot: 3,
            context: json!({"item": {"guess": 0.1 + 0.2}, "text": ODD_TEXT}),
        },
        state: VersionedState { version: after.version, bytes: vec![after.version as u8; 100] },
        event: Event {
            kind: "answer.committed".into(),
            payload: json!({"answer": id.to_string()}),
            at: at(2),
        },
        session: after,
    }
}
