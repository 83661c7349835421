use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, LazyLock},
};

use quizmentor_api::{App, Components, Compute, LocalIdentity, Part, invite, router};
use quizmentor_bloom::Engine;
use quizmentor_core::{Clock, ManualClock, Question, Role, Timestamp};
use quizmentor_services::flags::Shares;
use quizmentor_store::{
    cache::{self, Cache},
    records::{Records, Sqlite},
    vectors,
};
use serde_json::json;

use crate::Client;

const TOKEN_KEY: [u8; 32] = [7; 32];
/// When the clock of an installation starts, in seconds since 1970.
const START: i64 = 1_800_000_000;
const CACHE_ENTRIES: NonZeroUsize = NonZeroUsize::new(10_000).expect("not 0");
const VECTORS: usize = 10_000;

/// The model in the repository, loaded once.
static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/bloom");
    Arc::new(Engine::load(Path::new(model)).unwrap())
});

/// A whole QuizMentor in memory, whose clock stands still until it is moved. Work in the
/// background is not begun.
pub struct Installation {
    /// What the routes stand on.
    pub app: Arc<App>,
    /// The time that `app` sees.
    pub clock: Arc<ManualClock>,
    client: Client,
}

impl Installation {
    /// An installation whose bank holds `questions`.
    pub async fn new(questions: &[Question]) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap()));
        let records = Sqlite::in_memory().await.unwrap();
        records.put_questions(questions).await.unwrap();
        let cache = cache::Memory::new(clock.clone(), CACHE_ENTRIES);
        Self::over(Arc::new(records), Arc::new(cache), clock).await
    }

    /// Another process over the same records, with the cache `cache`.
    pub async fn beside(&self, cache: Arc<dyn Cache>) -> Self {
        Self::over(Arc::clone(&self.app.records), cache, Arc::clone(&self.clock)).await
    }

    async fn over(
        records: Arc<dyn Records>,
        cache: Arc<dyn Cache>,
        clock: Arc<ManualClock>,
    ) -> Self {
        let engine = Arc::clone(&ENGINE);
        let dimensions = NonZeroUsize::new(engine.dimensions()).unwrap();
        let app = App::open(Components {
            records,
            cache,
            vectors: Arc::new(vectors::Memory::new(dimensions, VECTORS)),
            compute: Compute::new(engine, 2),
            issuer: LocalIdentity::new(&TOKEN_KEY),
            identity: Arc::new(LocalIdentity::new(&TOKEN_KEY)),
            clock: clock.clone(),
            flags: Arc::new(Shares::default()),
            experiment: None,
        })
        .await
        .unwrap();
        let client = Client::new(router(Arc::clone(&app), &Part::ALL));
        Self { app, clock, client }
    }

    /// Opens the app anew with other components.
    pub async fn reopen(&mut self, components: Components) {
        self.app = App::open(components).await.unwrap();
        self.client = Client::new(router(Arc::clone(&self.app), &Part::ALL));
    }

    /// A client without a token.
    #[must_use]
    pub fn anyone(&self) -> Client {
        self.client.clone()
    }

    /// A client with a new learner's token.
    pub async fn learner(&self) -> Client {
        let token = self.client.post("/v1/auth/guest", &json!({})).await.expect(201);
        self.client.with_token(token["token"].as_str().unwrap())
    }

    /// A client with a new author's token.
    pub async fn author(&self) -> Client {
        self.signed_in(Role::Author).await
    }

    /// A client with a new admin's token.
    pub async fn admin(&self) -> Client {
        self.signed_in(Role::Admin).await
    }

    async fn signed_in(&self, role: Role) -> Client {
        let (code, _) = invite(self.app.records.as_ref(), role, self.clock.now()).await.unwrap();
        let reply = self.client.post("/v1/auth/link", &json!({ "code": code })).await;
        let token = reply.expect(200);
        self.client.with_token(token["token"].as_str().unwrap())
    }
}
