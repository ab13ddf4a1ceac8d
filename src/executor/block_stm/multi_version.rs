//! Multi-version memory: what each transaction wrote to a location, in the order of the block.
//!
//! A transaction reads what the highest transaction below it wrote. What an aborted incarnation wrote stays as an
//! *estimate* of what the next one will: whoever comes upon it waits instead of reading what is likely to change.

use super::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, PoisonError};

/// The place in a location's order: 0 is what happens before the first transaction, `i + 1` is transaction `i`.
pub(crate) type Position = u32;

/// The last entries of a location, which are looked at one by one from the end.
const NEAR: usize = 8;

/// What was written to one location, by ascending position.
#[derive(Debug)]
pub(crate) struct Versions<T> {
    written: Mutex<Entries<T>>,
    /// How many entries there are, so that what was never written is read without the lock.
    count: AtomicUsize,
}

/// Entries by ascending position. Most locations are written once, and that takes no allocation.
#[derive(Debug)]
enum Entries<T> {
    AtMostOne(Option<Written<T>>),
    Many(Vec<Written<T>>),
}

/// One transaction's write.
#[derive(Clone, Debug)]
pub(crate) struct Written<T> {
    pub(crate) position: Position,
    pub(crate) incarnation: u32,
    /// Whether the incarnation was aborted, so that the value is what it wrote and no more than a guess.
    pub(crate) estimate: bool,
    pub(crate) value: T,
}

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Self { written: Mutex::new(Entries::AtMostOne(None)), count: AtomicUsize::new(0) }
    }
}

impl<T> Versions<T> {
    /// Writes, over what an earlier incarnation wrote. Returns whether none did.
    pub(crate) fn write(&self, position: Position, incarnation: u32, value: T) -> bool {
        let written = Written { position, incarnation, estimate: false, value };
        let mut all = self.lock();
        let place = place(all.as_slice(), position);
        if let Some(entry) = all.as_mut_slice().get_mut(place).filter(|entry| entry.position == position) {
            *entry = written;
            return false;
        }
        all.insert(place, written);
        self.count.store(all.as_slice().len(), Ordering::SeqCst);
        true
    }

    /// Marks what a transaction wrote as an estimate.
    pub(crate) fn mark_estimate(&self, position: Position) {
        if let Some(entry) = self.lock().as_mut_slice().iter_mut().find(|entry| entry.position == position) {
            entry.estimate = true;
        }
    }

    /// Removes what an earlier incarnation than `incarnation` wrote.
    pub(crate) fn remove_stale(&self, position: Position, incarnation: u32) {
        let mut all = self.lock();
        all.retain(|entry| entry.position != position || entry.incarnation == incarnation);
        self.count.store(all.as_slice().len(), Ordering::SeqCst);
    }

    /// Looks at what was written below a position.
    pub(crate) fn below<R>(&self, position: Position, look: impl FnOnce(&[Written<T>]) -> R) -> R {
        if self.is_empty() {
            return look(&[]);
        }
        let all = self.lock();
        let all = all.as_slice();
        look(&all[..place(all, position)])
    }

    /// Whether nothing was written.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many transactions wrote.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many entries are below a position. Transactions are executed about in order, so that mostly all or nearly all are; who searches
/// all of a location that every transaction writes to takes it line by line from other threads' caches.
fn place<T>(entries: &[Written<T>], position: Position) -> usize {
    let is_below = |entry: &Written<T>| entry.position < position;
    let (far, near) = entries.split_at(entries.len().saturating_sub(NEAR));
    match near.iter().rposition(is_below) {
        Some(last) => far.len() + last + 1,
        None => far.partition_point(is_below),
    }
}

impl<T> Entries<T> {
    fn as_slice(&self) -> &[Written<T>] {
        match self {
            Self::AtMostOne(entry) => entry.as_slice(),
            Self::Many(entries) => entries,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Written<T>] {
        match self {
            Self::AtMostOne(entry) => entry.as_mut_slice(),
            Self::Many(entries) => entries,
        }
    }

    fn insert(&mut self, place: usize, written: Written<T>) {
        if let Self::AtMostOne(entry) = self {
            let Some(first) = entry.take() else {
                *entry = Some(written);
                return;
            };
            *self = Self::Many(vec![first]);
        }
        if let Self::Many(entries) = self {
            entries.insert(place, written);
        }
    }

    fn retain(&mut self, keep: impl Fn(&Written<T>) -> bool) {
        match self {
            Self::AtMostOne(entry) => drop(entry.take_if(|entry| !keep(entry))),
            Self::Many(entries) => entries.retain(keep),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_behind_all_that_is_below() {
        for count in [0, 1, 2, NEAR - 1, NEAR, NEAR + 1, 100] {
            let written = |index: usize| {
                let position = 2 * Position::try_from(index).unwrap() + 1;
                Written { position, incarnation: 0, estimate: false, value: () }
            };
            let entries: Vec<_> = (0..count).map(written).collect();
            for position in 0..=2 * Position::try_from(count).unwrap() + 2 {
                let below = entries.iter().filter(|entry| entry.position < position).count();
                assert_eq!(place(&entries, position), below, "{position} among {count}");
            }
        }
    }
}
