//! The Bloom engine behind a bounded queue. Its work blocks a processor, so only as many batches
//! are under way as there are workers; what waits meanwhile is put together into the next batch.
//! Nobody waits for a batch to fill: a request that comes alone is begun at once.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use quizmentor_bloom::{Classification, Engine};
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::Problem;

/// Requests that may wait for a worker.
const QUEUE: usize = 64;
/// Bytes of text that may wait, unless one request alone has more: about a second of work.
const QUEUE_BYTES: usize = 512 * 1024;
/// Bytes of text in a batch, unless its first request alone has more: some thousand tokens, a few
/// hundredths of a second.
const BATCH_BYTES: usize = 16 * 1024;

/// Runs work on the Bloom engine.
#[derive(Clone)]
pub struct Compute(Arc<Shared>);

struct Shared {
    engine: Arc<Engine>,
    workers: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Job>,
    /// Workers that have been begun and not yet found the queue empty.
    awake: usize,
}

enum Job {
    Classify(Texts),
    Other(Box<dyn Work>),
}

struct Texts {
    texts: Vec<String>,
    reply: oneshot::Sender<Vec<Classification>>,
}

/// Work other than classifying.
trait Work: Send {
    /// Whether whoever asked has gone.
    fn is_abandoned(&self) -> bool;
    fn run(self: Box<Self>, engine: &Engine);
}

struct Task<F, T> {
    work: F,
    reply: oneshot::Sender<T>,
}

impl<T: Send, F: FnOnce(&Engine) -> T + Send> Work for Task<F, T> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(self: Box<Self>, engine: &Engine) {
        // Whoever asked may go while the work is done.
        let _ = self.reply.send((self.work)(engine));
    }
}

impl Compute {
    /// Runs at most `workers` batches at a time on `engine`.
    #[must_use]
    pub fn new(engine: Arc<Engine>, workers: usize) -> Self {
        Self(Arc::new(Shared { engine, workers: workers.max(1), queue: Mutex::default() }))
    }

    /// Version of the model.
    #[must_use]
    pub fn model_version(&self) -> &str {
        self.0.engine.version()
    }

    /// Classifies texts, in order, together with those of others that wait. Texts whose request
    /// has gone away before their turn are not read.
    ///
    /// # Errors
    /// 429 when too many requests wait already.
    pub async fn classify(&self, texts: Vec<String>) -> Result<Vec<Classification>, Problem> {
        let (reply, outcome) = oneshot::channel();
        let span = tracing::info_span!("bloom", texts = texts.len() as i64);
        self.queue(Job::Classify(Texts { texts, reply }))?;
        outcome.instrument(span).await.map_err(|error| Problem::internal(&error))
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
        let (reply, outcome) = oneshot::channel();
        let span = tracing::info_span!("bloom");
        self.queue(Job::Other(Box::new(Task { work, reply })))?;
        outcome.instrument(span).await.map_err(|error| Problem::internal(&error))
    }

    fn queue(&self, job: Job) -> Result<(), Problem> {
        let mut queue = self.0.lock();
        if !queue.push(job) {
            metrics::counter!("quizmentor_bloom_refused_total").increment(1);
            return Err(Problem::too_many_requests(1));
        }
        if queue.awake < self.0.workers {
            queue.awake += 1;
            let shared = Arc::clone(&self.0);
            tokio::task::spawn_blocking(move || shared.work());
        }
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until the queue is empty.
    fn work(&self) {
        loop {
            let mut queue = self.lock();
            let Some(batch) = queue.next() else {
                queue.awake -= 1;
                return;
            };
            drop(queue);
            // Whoever asked learns of a panic by the loss of the reply; the queue must go on.
            let _ = catch_unwind(AssertUnwindSafe(|| match batch {
                Batch::Classify(requests) => self.classify(requests),
                Batch::Other(work) => work.run(&self.engine),
            }));
        }
    }

    fn classify(&self, requests: Vec<Texts>) {
        let texts: Vec<&str> =
            requests.iter().flat_map(|request| &request.texts).map(String::as_str).collect();
        metrics::histogram!("quizmentor_bloom_batch_texts").record(texts.len() as f64);
        let mut results = self.engine.classify(&texts).into_iter();
        for Texts { texts, reply } in requests {
            // Whoever asked may go while the texts are read.
            let _ = reply.send(results.by_ref().take(texts.len()).collect());
        }
        let (hits, misses) = self.engine.cache_counts();
        metrics::counter!("quizmentor_bloom_cache_hits_total").absolute(hits);
        metrics::counter!("quizmentor_bloom_cache_misses_total").absolute(misses);
    }
}

/// What a worker does next.
enum Batch {
    Classify(Vec<Texts>),
    Other(Box<dyn Work>),
}

impl Queue {
    /// Whether there was room for the job.
    fn push(&mut self, job: Job) -> bool {
        if !self.has_room(&job) {
            self.drop_abandoned();
        }
        let room = self.has_room(&job);
        if room {
            self.waiting.push_back(job);
        }
        self.tell();
        room
    }

    fn has_room(&self, job: &Job) -> bool {
        let waiting: usize = self.waiting.iter().map(Job::bytes).sum();
        self.waiting.is_empty()
            || self.waiting.len() < QUEUE && waiting + job.bytes() <= QUEUE_BYTES
    }

    /// What has waited longest; if it is texts, together with those of others that fit into the
    /// same batch, so that short texts do not wait behind long ones.
    fn next(&mut self) -> Option<Batch> {
        self.drop_abandoned();
        let batch = match self.waiting.pop_front()? {
            Job::Other(work) => Batch::Other(work),
            Job::Classify(first) => Batch::Classify(self.join(first)),
        };
        self.tell();
        Some(batch)
    }

    fn join(&mut self, first: Texts) -> Vec<Texts> {
        let mut room = BATCH_BYTES.saturating_sub(first.bytes());
        let mut batch = vec![first];
        for job in mem::take(&mut self.waiting) {
            match job {
                Job::Classify(texts) if texts.bytes() <= room => {
                    room -= texts.bytes();
                    batch.push(texts);
                }
                job => self.waiting.push_back(job),
            }
        }
        batch
    }

    fn drop_abandoned(&mut self) {
        self.waiting.retain(|job| match job {
            Job::Classify(texts) => !texts.reply.is_closed(),
            Job::Other(work) => !work.is_abandoned(),
        });
    }

    fn tell(&self) {
        metrics::gauge!("quizmentor_bloom_queue").set(self.waiting.len() as f64);
    }
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Classify(texts) => texts.bytes(),
            Self::Other(_) => 0,
        }
    }
}

impl Texts {
    fn bytes(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reply = oneshot::Receiver<Vec<Classification>>;

    fn texts(bytes: usize) -> (Job, Reply) {
        let (reply, outcome) = oneshot::channel();
        (Job::Classify(Texts { texts: vec!["x".repeat(bytes)], reply }), outcome)
    }

    /// A queue of requests of so many bytes, and where their replies would come.
    fn queue(sizes: &[usize]) -> (Queue, Vec<Reply>) {
        let mut queue = Queue::default();
        let replies = sizes.iter().map(|&bytes| {
            let (job, reply) = texts(bytes);
            assert!(queue.push(job));
            reply
        });
        let replies = replies.collect();
        (queue, replies)
    }

    fn batches(queue: &mut Queue) -> Vec<Vec<usize>> {
        let bytes = |batch| match batch {
            Batch::Classify(requests) => requests.iter().map(Texts::bytes).collect(),
            Batch::Other(_) => vec![],
        };
        std::iter::from_fn(|| queue.next().map(bytes)).collect()
    }

    #[test]
    fn what_fits_goes_together_and_the_rest_keeps_its_order() {
        let (mut queue, _replies) =
            queue(&[10, BATCH_BYTES, 20, BATCH_BYTES + 1, BATCH_BYTES - 30]);
        assert_eq!(
            batches(&mut queue),
            [vec![10, 20, BATCH_BYTES - 30], vec![BATCH_BYTES], vec![BATCH_BYTES + 1]]
        );
    }

    #[test]
    fn texts_of_those_who_left_are_not_read() {
        let (mut queue, mut replies) = queue(&[1, 2, 3]);
        replies.remove(1);
        assert_eq!(batches(&mut queue), [[1, 3]]);
        drop(replies);
    }

    #[test]
    fn the_queue_is_full_of_those_who_wait_alone() {
        let (mut queue, mut replies) = queue(&[1; QUEUE]);
        assert!(!queue.push(texts(1).0));
        replies.pop();
        let (job, _reply) = texts(1);
        assert!(queue.push(job));
    }

    #[test]
    fn the_queue_is_full_of_long_texts_too() {
        let (mut queue, _replies) = queue(&[QUEUE_BYTES + 1]);
        assert!(!queue.push(texts(1).0), "a request that is too long alone waits alone");
        queue.next();
        let (half, _reply) = texts(QUEUE_BYTES / 2);
        assert!(queue.push(half));
        assert!(!queue.push(texts(QUEUE_BYTES / 2 + 1).0));
        let (half, _reply) = texts(QUEUE_BYTES / 2);
        assert!(queue.push(half));
    }
}
