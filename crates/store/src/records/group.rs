//! Group commit: what waits while the disk is busy is stored together, with one wait for the disk.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
    task::JoinHandle,
    time,
};

use crate::{Error, Result};

/// Items stored together at most.
const MOST: usize = 128;
/// Items that may wait; more are refused at once.
const QUEUE: usize = 8 * 1024;

/// Stores several items at once.
pub(super) trait Batch: Send + 'static {
    /// What is stored.
    type Item: Send + 'static;
    /// What became of it.
    type Outcome: Send + 'static;

    /// Stores `items` and tells what became of each, in their order.
    fn run(
        &mut self,
        items: Vec<Self::Item>,
    ) -> impl Future<Output = Vec<Result<Self::Outcome>>> + Send;
}

struct Waiting<I, O> {
    item: I,
    reply: oneshot::Sender<Result<O>>,
}

type Queue<I, O> = Arc<AsyncMutex<mpsc::Receiver<Waiting<I, O>>>>;

/// A bounded queue and the workers that take all that waits in it.
pub(super) struct Group<I, O> {
    queue: Mutex<Option<mpsc::Sender<Waiting<I, O>>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    patience: Duration,
}

impl<I: Send + 'static, O: Send + 'static> Group<I, O> {
    /// Begins to work; callers wait for at most `patience`.
    pub(super) fn new<B: Batch<Item = I, Outcome = O>>(
        workers: impl IntoIterator<Item = B>,
        patience: Duration,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let queue = Arc::new(AsyncMutex::new(receiver));
        let start = |worker| tokio::spawn(work(worker, Arc::clone(&queue)));
        Self {
            workers: Mutex::new(workers.into_iter().map(start).collect()),
            queue: Mutex::new(Some(sender)),
            patience,
        }
    }

    /// Stores `item`. Once begun, it is stored though the caller be gone.
    pub(super) async fn store(&self, item: I) -> Result<O> {
        let sender = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sender = sender.ok_or_else(|| unavailable("they were closed"))?;
        let (reply, outcome) = oneshot::channel();
        sender
            .try_send(Waiting { item, reply })
            .map_err(|_| unavailable("too many answers wait to be stored"))?;
        drop(sender);
        match time::timeout(self.patience, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(unavailable("they were closed meanwhile")),
            Err(elapsed) => Err(Error::unavailable("the records", elapsed)),
        }
    }

    /// Takes nothing more and waits for what was taken.
    pub(super) async fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let workers =
            std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            // One that panicked has ended as well.
            let _ = worker.await;
        }
    }
}

impl<I, O> fmt::Debug for Group<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}

fn unavailable(why: &'static str) -> Error {
    Error::unavailable("the records", why)
}

async fn work<B: Batch>(mut worker: B, queue: Queue<B::Item, B::Outcome>) {
    loop {
        let mut waiting = Vec::new();
        if queue.lock().await.recv_many(&mut waiting, MOST).await == 0 {
            return;
        }
        // Nobody waits for these any more.
        waiting.retain(|waiting| !waiting.reply.is_closed());
        let (items, replies): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|waiting| (waiting.item, waiting.reply)).unzip();
        if items.is_empty() {
            continue;
        }
        for (reply, outcome) in replies.into_iter().zip(worker.run(items).await) {
            // The caller may have gone.
            let _ = reply.send(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes the sizes of its batches and waits for a permit before each.
    struct Slow {
        sizes: mpsc::UnboundedSender<usize>,
        permits: Arc<tokio::sync::Semaphore>,
    }

    impl Batch for Slow {
        type Item = u32;
        type Outcome = u32;

        async fn run(&mut self, items: Vec<u32>) -> Vec<Result<u32>> {
            self.permits.acquire().await.unwrap().forget();
            self.sizes.send(items.len()).unwrap();
            items
                .into_iter()
                .map(|n| if n == 3 { Err(Error::Conflict("three")) } else { Ok(10 * n) })
                .collect()
        }
    }

    #[tokio::test]
    async fn what_waits_is_stored_together_and_each_gets_its_own_outcome() {
        let (sizes, mut seen) = mpsc::unbounded_channel();
        let permits = Arc::new(tokio::sync::Semaphore::new(0));
        let worker = Slow { sizes, permits: Arc::clone(&permits) };
        let group = Arc::new(Group::new([worker], Duration::from_secs(60)));
        let store = |n| {
            let group = Arc::clone(&group);
            tokio::spawn(async move { group.store(n).await })
        };
        let first = store(1);
        tokio::task::yield_now().await;
        let rest: Vec<_> = (2..=5).map(store).collect();
        let abandoned = store(6);
        tokio::task::yield_now().await;
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
        permits.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap(), 10);
        for (n, task) in (2..).zip(rest) {
            let outcome = task.await.unwrap();
            if n == 3 {
                assert!(matches!(outcome, Err(Error::Conflict("three"))), "{outcome:?}");
            } else {
                assert_eq!(outcome.unwrap(), 10 * n);
            }
        }
        group.close().await;
        assert!(matches!(group.store(7).await, Err(Error::Unavailable { .. })));
        drop(group);
        let mut all = Vec::new();
        while let Some(size) = seen.recv().await {
            all.push(size);
        }
        assert_eq!(all, [1, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let (sizes, _seen) = mpsc::unbounded_channel();
        let worker = Slow { sizes, permits: Arc::new(tokio::sync::Semaphore::new(0)) };
        let group = Group::new([worker], Duration::from_secs(5));
        assert!(matches!(group.store(1).await, Err(Error::Unavailable { .. })));
    }
}
