//! Threads that stay, for executors that work on more than one.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use super::ExecutionError;
use crate::error::Error;

/// The thread that hands in the work, and as many others as were asked for. They start once, and sleep between blocks.
#[derive(Debug)]
pub(super) struct Workers {
    threads: usize,
    /// `None` where the calling thread works alone.
    pool: Option<rayon::ThreadPool>,
}

/// The item that a worker is at, for whoever wants to know where it panicked.
pub(super) type At = Cell<Option<usize>>;

/// A worker that panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Panicked {
    /// The item it was at.
    index: Option<usize>,
    message: String,
}

impl From<Panicked> for ExecutionError {
    fn from(panicked: Panicked) -> Self {
        Self::Engine { index: panicked.index, problem: format!("it panicked: {}", panicked.message) }
    }
}

impl Workers {
    /// Starts `threads` threads, the calling one included; zero means one for each core.
    pub(super) fn new(threads: usize) -> Result<Self, Error> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let pool = |others| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(others)
                .thread_name(|index| format!("phalanx-exec-{index}"))
                .build()
                .map_err(|source| Error::ThreadPool { threads, source })
        };
        Ok(Self { threads, pool: if threads > 1 { Some(pool(threads - 1)?) } else { None } })
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Has every thread do `work`, which is told the thread's number; the caller's is 0. Returns when all are done.
    ///
    /// A panic is caught; `stop` is then called, so that the others can end, and the first panic is the error.
    pub(super) fn run(&self, work: &(dyn Fn(usize, &At) + Sync), stop: &(dyn Fn() + Sync)) -> Result<(), Panicked> {
        self.run_on(self.threads, work, stop)
    }

    /// The same on `threads` of them, the caller's included.
    pub(super) fn run_on(
        &self,
        threads: usize,
        work: &(dyn Fn(usize, &At) + Sync),
        stop: &(dyn Fn() + Sync),
    ) -> Result<(), Panicked> {
        let first: Mutex<Option<Panicked>> = Mutex::default();
        let guarded = |worker: usize| {
            let at = Cell::new(None);
            if let Err(panicked) = catch(&at, || work(worker, &at)) {
                stop();
                first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panicked);
            }
        };
        match self.pool.as_ref().filter(|_| threads > 1) {
            None => guarded(0),
            Some(pool) => pool.in_place_scope(|scope| {
                for worker in 1..threads.min(self.threads) {
                    let guarded = &guarded;
                    scope.spawn(move |_| guarded(worker));
                }
                guarded(0);
            }),
        }
        first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// Does `work`, and catches its panic.
pub(super) fn catch<T>(at: &At, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        let message = payload.downcast_ref::<String>().cloned().or(text).unwrap_or_default();
        Panicked { index: at.get(), message }
    })
}

/// Does `work` on this thread; its panic, too, becomes an error.
pub(super) fn guard<T, E: From<Panicked>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch(&At::new(None), work).unwrap_or_else(|panicked| Err(panicked.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn everyone_works_and_a_panic_is_told_with_its_place() {
        for threads in [1, 2, 5] {
            let workers = Workers::new(threads).unwrap();
            let seen = AtomicUsize::new(0);
            let work = |worker: usize, _: &At| {
                seen.fetch_add(1 << (8 * worker), Ordering::Relaxed);
            };
            assert_eq!(workers.run(&work, &|| ()), Ok(()));
            let all: usize = (0..threads).map(|worker| 1 << (8 * worker)).sum();
            assert_eq!(seen.swap(0, Ordering::Relaxed), all);
            assert_eq!(workers.run_on(1, &work, &|| ()), Ok(()));
            assert_eq!(seen.swap(0, Ordering::Relaxed), 1);
            assert_eq!(workers.run_on(threads + 1, &work, &|| ()), Ok(()));
            assert_eq!(seen.into_inner(), all);

            let stopped = AtomicBool::new(false);
            let work = |worker: usize, at: &At| {
                at.set(Some(7));
                assert!(worker + 1 < threads, "on purpose");
            };
            let told = workers.run(&work, &|| stopped.store(true, Ordering::Relaxed));
            assert_eq!(told, Err(Panicked { index: Some(7), message: "on purpose".to_owned() }));
            assert!(stopped.into_inner());
        }
    }
}
