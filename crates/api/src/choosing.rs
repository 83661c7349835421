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
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    Flow::deserialize(&session.flow).unwrap_or_default()
}

/// `value` as it is stored.
pub(crate) fn json(value: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| Problem::internal(&error))
}

impl App {
    /// Which tests showed which items.
    pub(crate) fn exposure(&self) -> MutexGuard<'_, Exposure> {
        self.exposure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn policy_of(&self, learner: LearnerId) -> &'static Policy {
        let experiment = self.experiment.as_ref();
        experiment.map(|e| e.policy_of(self.flags.as_ref(), learner)).unwrap_or_default()
    }

    /// What a look at a session, or the choice of its next question by `policy`, is limited to.
    fn with_request<T>(
        &self,
        session: &Session,
        policy: &'static Policy,
        with: impl FnOnce(&Request<'_>) -> T,
    ) -> T {
        let exposure = session.test.as_ref().map(|_| self.exposure());
        with(&Request {
            subject: session.subject.as_deref(),
            skills: &session.skills,
            exclude: &session.asked,
            target: session.target,
            shift: flow_of(session).shift(),
            policy,
            test: session.test.as_ref().zip(exposure.as_deref()).map(|(plan, exposure)| Sitting {
                plan,
                asked: &session.asked,
                outcomes: &session.outcomes,
                exposure,
            }),
        })
    }

    /// What a test has measured so far; `None` for other modes. The result of one that has ended
    /// stays as it was, whatever becomes of bank and model.
    pub(crate) fn measurement(&self, session: &Session) -> Option<Measurement> {
        let kept = Measurement::deserialize(&session.measured).ok();
        kept.or_else(|| self.measured(&self.bank(), session))
    }

    fn measured(&self, bank: &Bank, session: &Session) -> Option<Measurement> {
        self.with_request(session, Default::default(), |request| measure(&bank.engine, request))
    }

    /// Ends a session.
    pub(crate) fn close(
        &self,
        bank: &Bank,
        session: &mut Session,
        now: Timestamp,
    ) -> Result<(), Problem> {
        session.pending = None;
        session.ended_at = Some(now);
        session.measured = json(&self.measured(bank, session))?;
        Ok(())
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
        let policy = self.policy_of(session.learner);
        let selection = self.with_request(session, policy, |request| {
            bank.engine.select(session.mode, learner, request, now, &mut rng)
        });
        let Some(selection) = selection else { return self.close(bank, session, now) };
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
        session.pending = Some(PendingQuestion {
            content: bank.content(&question.id).unwrap_or_default(),
            order: shuffled_order(&question.body, &mut rng),
            question: selection.question,
            shown_at: now,
            why: json(&selection.why)?.into(),
            propensity: selection.propensity,
            predicted: selection.probability,
            pilot: selection.why.policy == PILOT_POLICY,
            chances: json(&selection.chances)?.into(),
        });
        Ok(())
    }
}
