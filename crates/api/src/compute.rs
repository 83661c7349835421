//! The Bloom engine behind a bounded queue: its work blocks a processor, so only a few requests
//! run at once, some wait, and the rest are told to come back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use quizmentor_bloom::Engine;
use tokio::sync::Semaphore;

use crate::Problem;

/// Requests that may wait for a worker.
const QUEUE: usize = 64;

/// Runs work on the Bloom engine.
#[derive(Clone)]
pub struct Compute {
    engine: Arc<Engine>,
    workers: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Compute {
    /// Runs at most `workers` jobs at a time on `engine`.
    #[must_use]
    pub fn new(engine: Arc<Engine>, workers: usize) -> Self {
        Self { engine, workers: Arc::new(Semaphore::new(workers.max(1))), waiting: Arc::default() }
    }

    /// Version of the model.
    #[must_use]
    pub fn model_version(&self) -> &str {
        self.engine.version()
    }

    /// Runs `work` on a blocking thread. Work whose request has gone away before its turn is not
    /// begun.
    ///
    /// # Errors
    /// 429 when too many requests wait already.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _place = self.place().ok_or_else(|| Problem::too_many_requests(1))?;
        let permit = Arc::clone(&self.workers)
            .acquire_owned()
            .await
            .map_err(|error| Problem::internal(&error))?;
        let engine = Arc::clone(&self.engine);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&engine)
        })
        .await
        .map_err(|error| Problem::internal(&error))
    }

    fn place(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.waiting));
        (self.waiting.fetch_add(1, Ordering::Relaxed) < QUEUE).then_some(place)
    }
}

/// A place in the queue, given back on drop.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
