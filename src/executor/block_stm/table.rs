//! Places by their keys, which threads look up and add without waiting for one another.

use std::fmt::{Debug, Formatter};
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicUsize, Ordering};

use alloy_primitives::map::DefaultHashBuilder;

use super::arena::Arena;

/// A value that knows its key.
pub(super) trait Keyed {
    type Key: Eq + Hash;

    fn key(&self) -> Self::Key;
}

/// Values by their keys; none is ever removed. A hash table of chains: a value is put in front of its chain, so that whoever goes
/// along the chain is not disturbed.
pub(super) struct Table<V> {
    /// For each remainder of a hash the value that was added last, by its index and one; zero if there is none.
    chains: Box<[AtomicUsize]>,
    hasher: DefaultHashBuilder,
    links: Arena<Link<V>>,
}

impl<V: Debug> Debug for Table<V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.links.fmt(f)
    }
}

/// A value, and the one that was added to its chain before it, as `chains` names it.
#[derive(Debug)]
struct Link<V> {
    value: V,
    before: AtomicUsize,
}

impl<V: Keyed> Table<V> {
    /// A table of about `expected` values; with more it is slower.
    pub(super) fn new(expected: usize) -> Self {
        let chains = expected.next_power_of_two();
        Self {
            chains: std::iter::repeat_with(|| AtomicUsize::new(0)).take(chains).collect(),
            hasher: DefaultHashBuilder::default(),
            links: Arena::default(),
        }
    }

    /// The value with a key.
    pub(super) fn get(&self, key: &V::Key) -> Option<&V> {
        self.find(self.chain(key).load(Ordering::Acquire), key)
    }

    /// Adds a value, made from its index, unless there is one with its key by now. Returns the one that there is then.
    ///
    /// Of two threads that add a key at a time one finds the other's; its own value keeps an index and no key leads to it.
    pub(super) fn insert(&self, value: impl FnOnce(usize) -> V) -> Option<&V> {
        let index = self.links.push_with(|index| Link { value: value(index), before: AtomicUsize::new(0) });
        let own = self.links.get(index)?;
        let key = own.value.key();
        let chain = self.chain(&key);
        let mut last = chain.load(Ordering::Acquire);
        loop {
            if let Some(found) = self.find(last, &key) {
                return Some(found);
            }
            own.before.store(last, Ordering::Relaxed);
            match chain.compare_exchange(last, index + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(&own.value),
                Err(now) => last = now,
            }
        }
    }

    /// The value at an index.
    pub(super) fn at(&self, index: usize) -> Option<&V> {
        self.links.get(index).map(|link| &link.value)
    }

    /// How many indices there are.
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    fn chain(&self, key: &V::Key) -> &AtomicUsize {
        // Their number is a power of two, so that the remainder is less than it.
        let remainder = usize::try_from(self.hasher.hash_one(key) & (self.chains.len() as u64 - 1));
        &self.chains[remainder.unwrap_or_default()]
    }

    fn find(&self, last: usize, key: &V::Key) -> Option<&V> {
        let mut next = last;
        loop {
            let link = self.links.get(next.checked_sub(1)?)?;
            if link.value.key() == *key {
                return Some(&link.value);
            }
            next = link.before.load(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Entry {
        key: u64,
        index: usize,
    }

    impl Keyed for Entry {
        type Key = u64;

        fn key(&self) -> u64 {
            self.key
        }
    }

    #[test]
    fn threads_that_add_the_same_keys_find_the_same_values() {
        // Chains are long, and threads meet in each.
        let table = Table::<Entry>::new(4);
        let found = |thread: u64| {
            let keys = (0..2_000).map(|step| (step * 7 + thread) % 500);
            let places = keys.map(|key| {
                let entry = table.get(&key).or_else(|| table.insert(|index| Entry { key, index }));
                let entry = entry.unwrap();
                assert_eq!(entry.key, key);
                (key, entry.index)
            });
            places.collect::<std::collections::BTreeMap<_, _>>()
        };
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || found(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(all[0].len(), 500);
        assert!(all.iter().all(|places| *places == all[0]));
        assert!(table.len() >= 500);
        for (key, index) in &all[0] {
            assert_eq!(table.at(*index), Some(&Entry { key: *key, index: *index }));
        }
        assert_eq!(table.get(&500), None);
    }
}
