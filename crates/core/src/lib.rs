//! Values and rules of QuizMentor, without input or output.
//!
//! Questions and their scoring, Bloom levels, learners, sessions, accounts, identifiers and the
//! clock. Every other crate builds on these types; this one depends on none of them.

pub mod account;
pub mod clock;
pub mod ids;
pub mod level;
pub mod limits;
pub mod presentation;
pub mod question;
pub mod scoring;
pub mod session;

pub use account::{Principal, Role};
pub use clock::{Clock, ManualClock, SystemClock};
pub use ids::{AnswerId, LearnerId, QuestionId, SessionId, SkillId};
pub use jiff::{SignedDuration, Timestamp};
pub use level::{Level, UnknownLevel};
pub use presentation::{PresentedBody, PresentedQuestion};
pub use question::{
    AcceptedNumber, AcceptedText, Body, Choice, Defect, Pair, Question, Status, TextFormat,
};
pub use scoring::{Response, ResponseError, Score};
pub use session::{Mode, PendingQuestion, Quota, Session, TestPlan};
