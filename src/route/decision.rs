//! What was decided about a batch, and why.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

#[cfg(feature = "gpu")]
use super::policy::CPU;
use crate::scheme::hash::HashFunction;

/// What is done with an item. Each kind has cost lines of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Work {
    /// Recovering an ECDSA signer.
    Recover,
    /// Verifying an ECDSA signature against its key.
    Verify,
    /// Hashing a message.
    Hash(HashFunction),
}

impl Work {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Recover,
        Self::Verify,
        Self::Hash(HashFunction::Sha256),
        Self::Hash(HashFunction::Sha256d),
        Self::Hash(HashFunction::Keccak256),
    ];

    /// The name it is known by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::Verify => "verify",
            Self::Hash(function) => function.name(),
        }
    }
}

/// Which backend answers how much of a batch, and why.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The kind of work.
    pub work: Work,
    /// Items of the batch.
    pub items: usize,
    /// Who answers what: ranges that follow each other and cover the batch, none of them empty.
    pub shares: Vec<Share>,
    /// When all of it is expected to be done, in seconds from the decision.
    pub expected: f64,
    /// When a share of a GPU that is not done is done over on the CPU, in seconds from the decision.
    pub late: f64,
    /// The reason.
    pub why: Why,
    /// What was considered: which backends, and when they would be done.
    pub considered: Vec<(Vec<Arc<str>>, f64)>,
    /// Backends that serve and get nothing because of what they did lately.
    pub suspended: Vec<Arc<str>>,
    /// Part of the batch that is answered once more, to see what a backend costs now. Nobody waits for it.
    pub probe: Option<Probe>,
}

/// A backend's part of a batch.
#[derive(Clone, Debug)]
pub struct Share {
    /// The backend's index; 0 is the CPU.
    pub backend: usize,
    /// Its name.
    pub name: Arc<str>,
    /// The items.
    pub items: Range<usize>,
    /// Seconds of work that this is expected to be, without what the backend has to do before.
    pub cost: f64,
}

/// The first items of a batch, for a backend that has no share of it.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The backend's index.
    pub backend: usize,
    /// How many items.
    pub items: usize,
}

/// Why a batch goes where it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Why {
    /// Nothing else serves this kind of work now.
    Alone,
    /// It is so little that the CPU is done before anything else could be.
    Small,
    /// It is not known what the CPU costs, so that nothing can be compared.
    Unmeasured,
    /// It is expected to end soonest.
    Soonest,
    /// Something else is expected to end sooner, by too little or not for long enough for a change.
    Kept {
        /// How many times sooner.
        gain: f64,
    },
}

impl Decision {
    /// That of a batch which is too small to be decided about.
    #[cfg(feature = "gpu")]
    pub(super) fn small(work: Work, items: usize) -> Self {
        let share = Share { backend: CPU, name: "cpu".into(), items: 0..items, cost: 0.0 };
        Self {
            work,
            items,
            shares: if items > 0 { vec![share] } else { Vec::new() },
            expected: 0.0,
            late: 0.0,
            why: Why::Small,
            considered: Vec::new(),
            suspended: Vec::new(),
            probe: None,
        }
    }

    /// The names of those who take part.
    pub fn backends(&self) -> impl Iterator<Item = &str> {
        self.shares.iter().map(|share| &*share.name)
    }

    /// Items that `backend` answers.
    #[must_use]
    pub fn items_of(&self, backend: usize) -> usize {
        self.shares.iter().filter(|share| share.backend == backend).map(|share| share.items.len()).sum()
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}:", self.work, self.items)?;
        for (place, share) in self.shares.iter().enumerate() {
            write!(f, "{} {} {}", if place == 0 { "" } else { "," }, share.name, share.items.len())?;
        }
        write!(f, ", in {}: {}", Seconds(self.expected), self.why)?;
        if self.considered.len() > 1 {
            f.write_str(" (")?;
            for (place, (names, finish)) in self.considered.iter().enumerate() {
                let comma = if place == 0 { "" } else { ", " };
                write!(f, "{comma}{} {}", names.join(" + "), Seconds(*finish))?;
            }
            f.write_str(")")?;
        }
        if !self.suspended.is_empty() {
            write!(f, "; suspended: {}", self.suspended.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => f.write_str("nothing else serves"),
            Self::Small => f.write_str("too little to be divided"),
            Self::Unmeasured => f.write_str("not measured yet"),
            Self::Soonest => f.write_str("ends soonest"),
            Self::Kept { gain } => write!(f, "kept, a change would save {:.0} %", (1.0 - 1.0 / gain) * 100.0),
        }
    }
}

/// A time to be read by people.
struct Seconds(f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds < 1e-3 => write!(f, "{:.0} µs", seconds * 1e6),
            seconds if seconds < 1.0 => write!(f, "{:.1} ms", seconds * 1e3),
            seconds => write!(f, "{seconds:.2} s"),
        }
    }
}
