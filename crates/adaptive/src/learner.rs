//! The state of one learner.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Gaussian, Item, ItemKey, Model, Prediction, SkillKey,
    features::Belief,
    gaussian::Step,
    model::skills_of,
    review::{self, Memory, Rating},
};

/// What happened when a learner met an item.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outcome {
    /// Whether the answer earned full credit.
    pub correct: bool,
    /// Share of the credit, 0 to 1.
    pub credit: f32,
    /// When it was answered; `None` where a log keeps no times.
    pub at: Option<Timestamp>,
    /// Milliseconds from showing to answering.
    pub elapsed_ms: Option<u32>,
    /// Whether a hint was taken.
    pub hint: bool,
}

impl Outcome {
    /// A fully right or wholly wrong answer.
    #[must_use]
    pub fn new(correct: bool, at: impl Into<Option<Timestamp>>) -> Self {
        let credit = if correct { 1.0 } else { 0.0 };
        Self { correct, credit, at: at.into(), ..Self::default() }
    }

    /// The credit that the model learns from, within 0 to 1 whatever came in.
    pub(crate) fn worth(&self) -> f64 {
        match self.credit {
            _ if self.correct => 1.0,
            credit if credit > 0.0 => f64::from(credit.min(1.0)),
            _ => 0.0,
        }
    }
}

/// What a learner did on a skill.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SkillState {
    /// Ability on the skill beyond the overall ability, in logits.
    pub ability: Gaussian,
    /// Credit earned.
    pub right: f32,
    /// Credit missed.
    pub wrong: f32,
    /// Answers and study events.
    pub seen: u32,
    /// The last two outcomes.
    pub(crate) recent: Recent<2>,
    /// How long the last answer took.
    pub(crate) pace: Pace,
    /// Seconds since 1970 when the skill was last met.
    pub(crate) at: Option<i64>,
    /// Credit earned and missed, decayed by the time since.
    pub(crate) decayed: [f32; 2],
}

impl SkillState {
    pub(crate) fn new() -> Self {
        Self {
            ability: PRIOR_SKILL,
            right: 0.0,
            wrong: 0.0,
            seen: 0,
            recent: Recent::default(),
            pace: Pace::default(),
            at: None,
            decayed: [0.0; 2],
        }
    }
}

/// What a learner did on an item.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ItemState {
    /// Answers with full credit.
    pub right: u16,
    /// Other answers.
    pub wrong: u16,
    /// Answers and study events.
    pub seen: u16,
    /// The last two outcomes.
    pub(crate) recent: Recent<2>,
    /// How long the last answer took.
    pub(crate) pace: Pace,
    /// Seconds since 1970 when the item was last met.
    pub(crate) at: Option<i64>,
    /// What FSRS remembers of it.
    pub(crate) memory: Option<Memory>,
}

/// The last `N` outcomes, base 3: 0 none, 1 wrong, 2 right; the last one is the lowest digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Recent<const N: u32>(u8);

impl<const N: u32> Recent<N> {
    /// How many values there are.
    pub(crate) const COUNT: u32 = 3_u32.pow(N);

    fn push(&mut self, right: bool) {
        self.0 = ((u32::from(self.0) * 3) % Self::COUNT) as u8 + if right { 2 } else { 1 };
    }

    /// All of them as a number below [`COUNT`](Self::COUNT).
    pub(crate) fn code(self) -> u32 {
        u32::from(self.0)
    }

    /// The last one: 0 none, 1 wrong, 2 right.
    pub(crate) fn last(self) -> u32 {
        self.code() % 3
    }

    /// The last one as a number: 1 right, −1 wrong, 0 none.
    pub(crate) fn sign(self) -> f32 {
        [0.0, -1.0, 1.0][self.last() as usize]
    }

    fn is_valid(self) -> bool {
        self.code() < Self::COUNT
    }
}

/// How long an answer took: 30 ln(1 + seconds) in a byte, 0 where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Pace(u8);

impl Pace {
    fn of(outcome: &Outcome) -> Self {
        Self(outcome.elapsed_ms.map_or(0, |ms| (30.0 * (ms as f32 / 1000.0).ln_1p()) as u8))
    }

    /// ln(1 + seconds); `None` where it is not known.
    pub(crate) fn log_seconds(self) -> Option<f32> {
        (self.0 > 0).then(|| f32::from(self.0) / 30.0)
    }
}

/// The last answers, for features of order.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Previous {
    /// The last three items with their outcomes as in [`Recent::last`], the last one first.
    pub(crate) items: [Option<(ItemKey, u8)>; 3],
    /// The leading skill of the last item.
    pub(crate) skill: Option<SkillKey>,
    /// The last four outcomes.
    pub(crate) recent: Recent<4>,
    /// How long the last answer took.
    pub(crate) pace: Pace,
}

impl Previous {
    /// The item answered last.
    pub(crate) fn item(&self) -> Option<ItemKey> {
        self.items[0].map(|(key, _)| key)
    }

    fn is_valid(&self) -> bool {
        self.recent.is_valid() && self.items.iter().flatten().all(|(_, outcome)| *outcome < 3)
    }

    fn push(&mut self, item: &Item, outcome: &Outcome) {
        self.recent.push(outcome.correct);
        self.items = [Some((item.key, self.recent.last() as u8)), self.items[0], self.items[1]];
        self.skill = skills_of(item).first().copied();
        self.pace = Pace::of(outcome);
    }
}

/// The state of one learner: a few hundred bytes and 20 to 30 an item seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learner {
    /// Overall ability in logits.
    pub(crate) ability: Gaussian,
    pub(crate) right: f32,
    pub(crate) wrong: f32,
    pub(crate) answers: u32,
    pub(crate) at: Option<i64>,
    pub(crate) previous: Previous,
    pub(crate) skills: BTreeMap<SkillKey, SkillState>,
    pub(crate) items: BTreeMap<ItemKey, ItemState>,
}

const FORMAT: u8 = 1;

/// Belief over the overall ability of someone unknown.
pub(crate) const PRIOR_ABILITY: Gaussian = Gaussian::new(0.0, 0.5);
/// Belief over the ability on a skill not met, beyond the overall ability.
pub(crate) const PRIOR_SKILL: Gaussian = Gaussian::new(0.0, 0.3);
/// Variance that an answer adds, overall and on its skills: learning moves abilities.
const DRIFT: [f32; 2] = [0.002, 0.01];
/// Variance that a day adds, overall and on a skill.
const DRIFT_PER_DAY: [f64; 2] = [0.005, 0.01];
const SECONDS_PER_DAY: f64 = 86_400.0;

fn widened(
    belief: Gaussian,
    since: Option<i64>,
    now: Option<i64>,
    rate: f64,
    cap: f32,
) -> Gaussian {
    let days = elapsed(since, now).map_or(0.0, |seconds| seconds / SECONDS_PER_DAY);
    let variance = (f64::from(belief.variance) + rate * days).min(f64::from(cap)) as f32;
    Gaussian::new(belief.mean, variance.max(belief.variance.min(cap)))
}

/// Seconds from `since` to `now`, never negative; `None` where a time is unknown.
pub(crate) fn elapsed(since: Option<i64>, now: Option<i64>) -> Option<f64> {
    Some((now?.saturating_sub(since?)).max(0) as f64)
}

/// Power-law forgetting of practice (Wixted & Carpenter, 2007): the share of its weight that
/// practice keeps after some seconds.
pub(crate) fn practice_kept(seconds: f64) -> f32 {
    (1.0 + seconds as f32 / 600.0).powf(-0.3)
}

impl Default for Learner {
    fn default() -> Self {
        Self::new()
    }
}

impl Learner {
    /// A learner of whom nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ability: PRIOR_ABILITY,
            right: 0.0,
            wrong: 0.0,
            answers: 0,
            at: None,
            previous: Previous::default(),
            skills: BTreeMap::new(),
            items: BTreeMap::new(),
        }
    }

    /// Answers taken in.
    #[must_use]
    pub fn answers(&self) -> u32 {
        self.answers
    }

    /// Overall ability in logits, as believed at `now`.
    #[must_use]
    pub fn ability(&self, now: impl Into<Option<Timestamp>>) -> Gaussian {
        self.ability_at(now.into().map(Timestamp::as_second))
    }

    pub(crate) fn ability_at(&self, now: Option<i64>) -> Gaussian {
        let cap = 2.0 * PRIOR_ABILITY.variance;
        widened(self.ability, self.at, now, DRIFT_PER_DAY[0], cap)
    }

    pub(crate) fn skill_ability_at(&self, key: SkillKey, now: Option<i64>) -> Gaussian {
        let cap = 1.5 * PRIOR_SKILL.variance;
        self.skills.get(&key).map_or(PRIOR_SKILL, |skill| {
            widened(skill.ability, skill.at, now, DRIFT_PER_DAY[1], cap)
        })
    }

    /// What the learner did on a skill.
    #[must_use]
    pub fn skill(&self, key: SkillKey) -> Option<&SkillState> {
        self.skills.get(&key)
    }

    /// What the learner did on an item.
    #[must_use]
    pub fn item(&self, key: ItemKey) -> Option<&ItemState> {
        self.items.get(&key)
    }

    /// Takes an answer in, with a frozen model, and returns what was predicted of it. Equal states,
    /// models, items and outcomes give bit-identical results.
    pub fn observe(&mut self, model: &Model, item: &Item, outcome: &Outcome) -> Prediction {
        let now = outcome.at.map(Timestamp::as_second);
        let belief = Belief::new(model, self, item, now);
        let prediction = model.predict_with(self, item, &belief, now);
        self.absorb(item, outcome, &belief, belief.observe(item, outcome));
        prediction
    }

    /// Notes that the item was shown with its answer: nothing was asked, something was learned.
    pub fn study(&mut self, item: &Item, at: impl Into<Option<Timestamp>>) {
        let at = at.into().map(Timestamp::as_second);
        for &key in skills_of(item) {
            let skill = self.skills.entry(key).or_insert_with(SkillState::new);
            skill.decay(at);
            skill.seen = skill.seen.saturating_add(1);
            skill.decayed[0] += 0.7;
            skill.at = at;
        }
        let state = self.items.entry(item.key).or_default();
        state.seen = state.seen.saturating_add(1);
        state.at = at;
    }

    /// The part of an observation that concerns the learner.
    pub(crate) fn absorb(&mut self, item: &Item, outcome: &Outcome, belief: &Belief, step: Step) {
        let credit = outcome.worth() as f32;
        let at = outcome.at.map(Timestamp::as_second);
        let ability = self.ability_at(at).absorb(belief.slope, step);
        self.ability = Gaussian::new(ability.mean, ability.variance + DRIFT[0]);
        let skills = skills_of(item);
        let share = belief.slope / skills.len() as f64;
        for &key in skills {
            let ability = self.skill_ability_at(key, at).absorb(share, step);
            let skill = self.skills.entry(key).or_insert_with(SkillState::new);
            skill.ability = Gaussian::new(ability.mean, ability.variance + DRIFT[1]);
            skill.count(outcome, credit, at);
        }
        self.items.entry(item.key).or_default().count(item, outcome, at);
        self.right += credit;
        self.wrong += 1.0 - credit;
        self.answers = self.answers.saturating_add(1);
        self.at = at;
        self.previous.push(item, outcome);
    }

    /// The state as bytes: a version byte, then a compact encoding with keys in order.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("a vector takes any number of bytes")
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are truncated, of another format, or hold impossible numbers.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "learner state";
        let (&format, body) =
            bytes.split_first().ok_or_else(|| Error::corrupt(WHAT, "no bytes"))?;
        if format != FORMAT {
            return Err(Error::Format { what: WHAT, found: format, expected: FORMAT });
        }
        let (learner, rest) =
            postcard::take_from_bytes::<Self>(body).map_err(|e| Error::corrupt(WHAT, e))?;
        if !rest.is_empty() {
            return Err(Error::corrupt(WHAT, format!("{} bytes too many", rest.len())));
        }
        if !learner.is_valid() {
            return Err(Error::corrupt(WHAT, "a number is out of range"));
        }
        Ok(learner)
    }

    fn is_valid(&self) -> bool {
        let count = |x: f32| x.is_finite() && x >= 0.0;
        self.ability.is_valid()
            && count(self.right)
            && count(self.wrong)
            && self.previous.is_valid()
            && self.skills.values().all(|s| {
                s.ability.is_valid()
                    && count(s.right)
                    && count(s.wrong)
                    && s.decayed.into_iter().all(count)
                    && s.recent.is_valid()
            })
            && self
                .items
                .values()
                .all(|i| i.recent.is_valid() && i.memory.is_none_or(|m| m.is_valid()))
    }
}

impl SkillState {
    fn decay(&mut self, now: Option<i64>) {
        if let Some(seconds) = elapsed(self.at, now) {
            let kept = practice_kept(seconds);
            self.decayed = self.decayed.map(|count| count * kept);
        }
    }

    fn count(&mut self, outcome: &Outcome, credit: f32, at: Option<i64>) {
        self.decay(at);
        self.decayed[0] += credit;
        self.decayed[1] += 1.0 - credit;
        self.right += credit;
        self.wrong += 1.0 - credit;
        self.seen = self.seen.saturating_add(1);
        self.recent.push(outcome.correct);
        self.pace = Pace::of(outcome);
        self.at = at;
    }
}

impl ItemState {
    /// What FSRS remembers of it; `None` where no times are known.
    #[must_use]
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }

    fn count(&mut self, item: &Item, outcome: &Outcome, at: Option<i64>) {
        let count = if outcome.correct { &mut self.right } else { &mut self.wrong };
        *count = count.saturating_add(1);
        self.seen = self.seen.saturating_add(1);
        self.recent.push(outcome.correct);
        self.pace = Pace::of(outcome);
        self.at = at;
        if let Some(at) = at {
            self.memory = Some(review::next_memory(self.memory, Rating::of(item, outcome), at));
        }
    }
}
