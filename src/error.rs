//! What keeps a check from being made, as opposed to what it concludes.

/// The check could not be made. An invalid item is a [`Verdict`](crate::Verdict), never this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A thread pool of the size asked for could not be started.
    #[error("could not start {threads} threads: {source}")]
    ThreadPool {
        /// How many threads were asked for.
        threads: usize,
        /// What the system answered.
        source: rayon::ThreadPoolBuildError,
    },
    /// The backend that was asked for cannot be had.
    #[error("backend {asked}: {problem}")]
    Backend {
        /// What was asked for.
        asked: String,
        /// Why it cannot be had, and what to do.
        problem: String,
    },
    /// The check itself panicked, which is a defect of this crate.
    #[error("the check panicked: {0}")]
    Panicked(String),
    /// A backend answered for a different number of items than it was handed.
    #[error("the {backend} backend answered {answered} of {handed} items")]
    Lost {
        /// The backend's name.
        backend: &'static str,
        /// How many items it was handed.
        handed: usize,
        /// How many it answered.
        answered: usize,
    },
}
