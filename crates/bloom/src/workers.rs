//! Threads for the encoder.

use std::{
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Error;

/// As many threads as cores, each a pool of its own: inside one, whatever the tensor library
/// would spread over cores stays on one thread, so requests do not wait for each other's parts.
#[derive(Debug)]
pub(crate) struct Workers {
    pools: Vec<ThreadPool>,
    next: AtomicUsize,
}

impl Workers {
    pub(crate) fn new() -> Result<Self, Error> {
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        let pool = |index| {
            ThreadPoolBuilder::new()
                .num_threads(1)
                .thread_name(move |_| format!("bloom-{index}"))
                .build()
        };
        let pools = (0..count).map(pool).collect::<Result<_, _>>()?;
        Ok(Self { pools, next: AtomicUsize::new(0) })
    }

    /// Runs `work` on one thread and waits for it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.pools[turn % self.pools.len()].install(work)
    }
}
