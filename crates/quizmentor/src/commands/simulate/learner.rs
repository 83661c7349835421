//! One synthetic learner: from a guest's token through practice to looking its answers up.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::ProgressBar;
use quizmentor_core::{AnswerId, PresentedQuestion, QuestionId, Response, SessionId};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::{sync::watch, time};
use uuid::Uuid;

use super::{
    client::{Call, Client, Failure},
    response,
    truth::{self, Item},
};

/// The wait before a second try; it doubles with each further one …
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
/// … up to this.
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);
/// Added at most to what the server asks to wait, so that not all come back at once.
const SPREAD: Duration = Duration::from_secs(1);

/// The time is over.
#[derive(Debug)]
pub(super) struct Over;

/// Until when something may be done.
#[derive(Debug, Clone)]
pub(super) struct Until(watch::Receiver<bool>);

impl Until {
    /// Ends when `true` is sent.
    pub(super) fn new() -> (watch::Sender<bool>, Self) {
        let (end, ended) = watch::channel(false);
        (end, Self(ended))
    }

    async fn pause(&self, duration: Duration) -> Result<(), Over> {
        let mut ended = self.0.clone();
        match time::timeout(duration, ended.wait_for(|over| *over)).await {
            Ok(_) => Err(Over),
            Err(_) => Ok(()),
        }
    }

    fn check(&self) -> Result<(), Over> {
        if *self.0.borrow() { Err(Over) } else { Ok(()) }
    }
}

/// What all learners share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) client: Client,
    /// Counts acknowledged answers.
    pub(super) progress: ProgressBar,
    /// Median of the time to think about a question.
    think: Duration,
    /// Learners come at random within this time.
    ramp: Duration,
    questions: Mutex<BTreeMap<QuestionId, Known>>,
}

/// What is known of a question that was seen.
#[derive(Debug)]
struct Known {
    subject: String,
    item: Item,
    /// Once a reply has told it.
    key: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(
        client: Client,
        progress: ProgressBar,
        think: Duration,
        ramp: Duration,
    ) -> Self {
        Self { client, progress, think, ramp, questions: Mutex::default() }
    }

    /// The questions seen so far, by subject.
    pub(super) fn seen(&self) -> HashMap<String, Vec<Item>> {
        let mut seen: HashMap<String, Vec<Item>> = HashMap::new();
        for known in self.questions().values() {
            seen.entry(known.subject.clone()).or_default().push(known.item);
        }
        seen
    }

    fn meet(&self, question: &PresentedQuestion) -> (Item, Option<Vec<String>>) {
        let mut questions = self.questions();
        let known = questions.entry(question.id.clone()).or_insert_with(|| Known {
            subject: question.skill.subject().to_owned(),
            item: Item::of(question),
            key: None,
        });
        (known.item, known.key.clone())
    }

    fn learn_key(&self, question: &QuestionId, key: Vec<String>) {
        if let Some(known) = self.questions().get_mut(question) {
            known.key = Some(key);
        }
    }

    fn questions(&self) -> MutexGuard<'_, BTreeMap<QuestionId, Known>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[derive(Deserialize)]
struct Session {
    id: SessionId,
    next: Option<Next>,
}

#[derive(Deserialize)]
struct Next {
    question: PresentedQuestion,
}

#[derive(Deserialize)]
struct Reply {
    answer: Feedback,
    session: Session,
}

#[derive(Deserialize)]
struct Feedback {
    key: Vec<String>,
}

#[derive(Deserialize)]
struct AnswerPage {
    answers: Vec<PastAnswer>,
    next: Option<u64>,
}

#[derive(Deserialize)]
struct PastAnswer {
    id: AnswerId,
}

/// A synthetic learner.
#[derive(Debug)]
pub(super) struct Learner {
    rng: ChaCha8Rng,
    subject: String,
    first_ability: f64,
    ability: f64,
    token: Option<String>,
    acknowledged: Vec<AnswerId>,
}

/// What became of a learner's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Acknowledged answers that the server still has.
    pub(super) answers: usize,
    /// Ids that it has more than once.
    pub(super) twice: usize,
}

impl Learner {
    /// The learner with this number among those of a seed.
    pub(super) fn new(seed: u64, number: u64, subjects: &[String]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        let ability = truth::draw_ability(&mut rng);
        Self {
            subject: subjects.choose(&mut rng).cloned().unwrap_or_default(),
            rng,
            first_ability: ability,
            ability,
            token: None,
            acknowledged: Vec::new(),
        }
    }

    /// Answers that the server acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// How much the ability has risen, in logits.
    pub(super) fn gain(&self) -> f64 {
        self.ability - self.first_ability
    }

    /// The same for as many answers to questions drawn from `items` at random.
    pub(super) fn gain_at_random(&mut self, items: &HashMap<String, Vec<Item>>) -> f64 {
        let Some(items) = items.get(&self.subject) else { return 0.0 };
        let mut ability = self.first_ability;
        for _ in &self.acknowledged {
            let Some(item) = items.choose(&mut self.rng) else { break };
            ability += truth::rise(item.success(ability));
        }
        ability - self.first_ability
    }

    /// Practises until the time is over, or the server refuses a token or a session.
    pub(super) async fn practise(mut self, world: Arc<World>, until: Until) -> Self {
        let Err(Over) = self.work(&world, &until).await;
        self
    }

    async fn work(&mut self, world: &World, until: &Until) -> Result<Infallible, Over> {
        until.pause(world.ramp.mul_f64(self.rng.random())).await?;
        let guest = Call::post("/v1/auth/guest", None);
        let token = self.persist::<Token>(world, until, &guest).await?.map_err(|_| Over)?.token;
        self.token = Some(token.clone());
        let wish = json!({ "mode": "practice", "subject": self.subject });
        let begin = Call::post("/v1/sessions", Some(wish)).by(&token);
        loop {
            let mut session: Session =
                self.persist(world, until, &begin).await?.map_err(|_| Over)?;
            while let Some(Next { question }) = session.next.take() {
                let think = truth::draw_think(world.think, &mut self.rng);
                until.pause(think).await?;
                match self.answer(world, until, &question, session.id, think).await? {
                    Ok(after) => session = after,
                    // The question has changed or the session was ended: begin another.
                    Err(_) => break,
                }
            }
            until.pause(truth::draw_think(world.think, &mut self.rng)).await?;
        }
    }

    /// Answers, and learns from the feedback.
    async fn answer(
        &mut self,
        world: &World,
        until: &Until,
        question: &PresentedQuestion,
        session: SessionId,
        think: Duration,
    ) -> Result<Result<Session, Failure>, Over> {
        let (item, key) = world.meet(question);
        let success = item.success(self.ability);
        let id = AnswerId(Uuid::now_v7());
        let body = json!({
            "id": id,
            "question": question.id,
            "response": self.respond(question, key.as_deref(), success),
            "elapsed_ms": think.as_millis() as u64,
        });
        let path = format!("/v1/sessions/{session}/answers");
        let call = Call { token: self.token.clone(), ..Call::post(path, Some(body)) };
        let reply = self.persist::<Reply>(world, until, &call).await?;
        Ok(reply.map(|reply| {
            self.acknowledged.push(id);
            self.ability += truth::rise(success);
            world.learn_key(&question.id, reply.answer.key);
            world.progress.inc(1);
            reply.session
        }))
    }

    fn respond(
        &mut self,
        question: &PresentedQuestion,
        key: Option<&[String]>,
        success: f64,
    ) -> Response {
        let body = &question.body;
        let meant = key.and_then(|key| {
            if self.rng.random_bool(success.clamp(0.0, 1.0)) {
                response::right(body, key)
            } else {
                response::wrong(body, key, &mut self.rng)
            }
        });
        meant.unwrap_or_else(|| response::guess(body, &mut self.rng))
    }

    /// Sends a request again and again while it fails in ways that pass. The inner error is the
    /// server's refusal.
    async fn persist<T: DeserializeOwned>(
        &mut self,
        world: &World,
        until: &Until,
        call: &Call,
    ) -> Result<Result<T, Failure>, Over> {
        let mut tries = 0;
        loop {
            until.check()?;
            match world.client.send(call).await {
                Err(failure) if failure.is_passing() => {
                    until.pause(wait(&failure, tries, self.rng.random())).await?;
                    tries += 1;
                }
                outcome => return Ok(outcome),
            }
        }
    }

    /// Looks all acknowledged answers up. An error tells that they could not be read.
    pub(super) async fn look_up(&mut self, world: &World, until: &Until) -> Result<Found, Over> {
        let Some(token) = self.token.clone() else { return Ok(Found { answers: 0, twice: 0 }) };
        let mut times: HashMap<AnswerId, u32> = HashMap::new();
        let mut cursor = 0;
        loop {
            let call = Call::get(format!("/v1/me/answers?after={cursor}")).by(&token);
            let page: AnswerPage = self.persist(world, until, &call).await?.map_err(|_| Over)?;
            for answer in page.answers {
                *times.entry(answer.id).or_default() += 1;
            }
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        Ok(Found {
            answers: self.acknowledged.iter().filter(|id| times.contains_key(id)).count(),
            twice: times.values().filter(|&&times| times > 1).count(),
        })
    }
}

/// How long to wait after `tries` failures and another; `jitter` is from 0 to 1.
fn wait(failure: &Failure, tries: u32, jitter: f64) -> Duration {
    match failure.retry_after() {
        Some(asked) => asked + SPREAD.mul_f64(jitter),
        None => {
            let longest = FIRST_BACKOFF.saturating_mul(1 << tries.min(16)).min(LONGEST_BACKOFF);
            longest.mul_f64(0.5 + 0.5 * jitter)
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use quizmentor_core::{PresentedBody, SkillId, TextFormat};

    use super::*;

    fn question(id: &str) -> PresentedQuestion {
        PresentedQuestion {
            id: QuestionId::new(id).unwrap(),
            skill: SkillId::new("physics/light").unwrap(),
            skill_name: "Light".to_owned(),
            level: None,
            stem: "?".to_owned(),
            format: TextFormat::Plain,
            body: PresentedBody::ShortAnswer,
        }
    }

    fn learner(seed: u64, number: u64) -> Learner {
        Learner::new(seed, number, &["biology".to_owned(), "physics".to_owned()])
    }

    #[test]
    fn a_seed_makes_the_same_learners() {
        let of = |seed, number| {
            let learner = learner(seed, number);
            (learner.subject, learner.ability)
        };
        assert_eq!(of(1, 2), of(1, 2));
        assert_ne!(of(1, 2).1, of(1, 3).1);
        assert_ne!(of(1, 2).1, of(2, 2).1);
    }

    #[test]
    fn the_wait_doubles_up_to_a_limit_and_what_the_server_asks_is_kept() {
        let waits: Vec<_> =
            (0..40).map(|tries| wait(&Failure::Timeout, tries, 1.0).as_millis()).collect();
        assert_eq!(waits[..6], [250, 500, 1_000, 2_000, 4_000, 8_000]);
        assert!(waits[6..].iter().all(|&wait| wait == 8_000));
        assert_eq!(wait(&Failure::Timeout, 0, 0.0).as_millis(), 125);
        let busy = Failure::Status {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: Some(Duration::from_secs(3)),
        };
        assert_eq!(wait(&busy, 9, 0.0), Duration::from_secs(3));
        assert_eq!(wait(&busy, 0, 1.0), Duration::from_secs(4));
    }

    fn world() -> World {
        let client = Client::new("http://localhost");
        World::new(client, ProgressBar::hidden(), Duration::ZERO, Duration::ZERO)
    }

    #[test]
    fn a_key_is_guessed_until_a_reply_tells_it() {
        let world = world();
        let question = question("light-1");
        let mut learner = learner(1, 1);
        let (_, key) = world.meet(&question);
        assert_eq!(key, None);
        let key = vec!["photon".to_owned()];
        world.learn_key(&question.id, key.clone());
        assert_eq!(world.meet(&question).1, Some(key.clone()));
        let right = Response::Text { text: "photon".to_owned() };
        assert_ne!(learner.respond(&question, None, 1.0), right);
        assert_eq!(learner.respond(&question, Some(&key), 1.0), right);
        assert_ne!(learner.respond(&question, Some(&key), 0.0), right);
    }

    #[test]
    fn random_order_takes_as_many_answers() {
        let world = world();
        let (item, _) = world.meet(&question("light-1"));
        let mut learner = learner(1, 1);
        learner.subject = "physics".to_owned();
        assert_eq!(learner.gain_at_random(&world.seen()), 0.0);
        learner.acknowledged = vec![AnswerId(Uuid::nil())];
        let once = truth::rise(item.success(learner.first_ability));
        assert!((learner.gain_at_random(&world.seen()) - once).abs() < 1e-12);
        learner.subject = "biology".to_owned();
        assert_eq!(learner.gain_at_random(&world.seen()), 0.0);
    }
}
