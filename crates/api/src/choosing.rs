//! Choosing a session's next question.

use std::sync::{MutexGuard, PoisonError};

use quizmentor_adaptive::{
    Learner,
    flow::{self, Flow},
    select::{
        Exposure, Measurement, PILOT_POLICY, Policy, Request, Sitting, measure, target_range,
    },
};
use quizmentor_core::{
    LearnerId, Mode, PendingQuestion, Session, Timestamp, presentation::shuffled_order,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{App, Problem, bank::Bank, practice::find};

/// How challenge and skill match in a session of practice.
#[derive(Serialize, ToSchema)]
pub(crate) struct FlowView {
    /// How the session feels.
    state: flow::State,
    /// Answers that this rests on.
    answers: u32,
    /// By how much the target is moved, −0.1 (harder) to 0.1 (easier).
    shift: f64,
    /// The range of success probability that the next question aims at.
    target: [f64; 2],
    /// What was done about it; absent in flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<&'static str>,
}

impl FlowView {
    /// `None` for other modes than practice.
    pub(crate) fn of(session: &Session) -> Option<Self> {
        let flow = flow_of(session);
        (session.mode == Mode::Practice).then(|| Self {
            state: flow.state(),
            answers: flow.answers,
            shift: flow.shift(),
            target: target_range(session.target, flow.shift()),
            sentence: flow.sentence(),
        })
    }
}

/// The flow of a session, as far as it is known.
pub(crate) fn flow_of(session: &Session) -> Flow {
    serde_json::from_value(session.flow.clone()).unwrap_or_default()
}

impl App {
    /// Which tests showed which items.
    pub(crate) fn exposure(&self) -> MutexGuard<'_, Exposure> {
        self.exposure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn policy_of(&self, learner: LearnerId) -> &'static Policy {
        self.experiment.as_ref().map(|e| e.policy_of(learner)).unwrap_or_default()
    }

    /// What the choice of a session's next question is limited to.
    fn with_request<T>(&self, session: &Session, with: impl FnOnce(&Request<'_>) -> T) -> T {
        let exposure = self.exposure();
        with(&Request {
            subject: session.subject.as_deref(),
            skills: &session.skills,
            exclude: &session.asked,
            target: session.target,
            shift: flow_of(session).shift(),
            policy: self.policy_of(session.learner),
            test: session.test.as_ref().map(|plan| Sitting {
                plan,
                asked: &session.asked,
                outcomes: &session.outcomes,
                exposure: &exposure,
            }),
        })
    }

    /// What a test has measured so far; `None` for other modes.
    pub(crate) fn measurement(&self, session: &Session) -> Option<Measurement> {
        self.with_request(session, |request| measure(&self.bank().engine, request))
    }

    /// Puts the next question on the session's table, or ends the session when there is none.
    pub(crate) fn choose_next(
        &self,
        bank: &Bank,
        learner: &Learner,
        session: &mut Session,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let mut rng = rand::rng();
        let selection = self.with_request(session, |request| {
            bank.engine.select(session.mode, learner, request, now, &mut rng)
        });
        let Some(selection) = selection else {
            session.pending = None;
            session.ended_at = Some(now);
            return Ok(());
        };
        if session.mode == Mode::Test {
            let mut exposure = self.exposure();
            if session.asked.is_empty() {
                exposure.begin();
            }
            exposure.note((&selection.question).into());
            // A question that was taken away before its answer is replaced.
            session.asked.truncate(session.outcomes.len());
            session.asked.push(selection.question.clone());
        }
        let question = find(bank, &selection.question)?;
        let json = |value: Result<_, serde_json::Error>| value.map_err(|e| Problem::internal(&e));
        session.pending = Some(PendingQuestion {
            content: question.content_id(),
            order: shuffled_order(&question.body, &mut rng),
            question: selection.question,
            shown_at: now,
            why: json(serde_json::to_value(&selection.why))?,
            propensity: selection.propensity,
            predicted: selection.probability,
            pilot: selection.why.policy == PILOT_POLICY,
            chances: json(serde_json::to_value(&selection.chances))?,
        });
        Ok(())
    }
}
