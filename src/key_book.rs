//! Public keys by address, as they were recovered: what makes a sender's name worth believing.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::arithmetic::batch_equation::is_on_curve;
use crate::arithmetic::field::portable::Element;
use crate::arithmetic::group::AffinePoint;
use crate::cpu::{keccak256, keccak256_of_keys};
use crate::scheme::ecdsa::{Address, Signer};

/// Entries that compete for the same place.
const WAYS: usize = 8;

/// Parts with a lock of their own, so that threads seldom wait for each other.
const SHARDS: usize = 64;

/// How often an entry's use counts, at most.
const MOST_USES: u8 = 3;

/// Public keys by address, in bounded memory: about 100 bytes for each key of the capacity, taken as it fills.
///
/// Every key is on the curve and every address is that of its key: both are made sure of here, wherever a key comes from. A
/// key that was asked for again is not given up for one seen once, so a flood of new senders takes the place of other
/// newcomers and no more. Looking up and learning look at eight entries, whatever was learned before; which eight
/// depends on a secret drawn for each book. May be shared between threads.
pub struct KeyBook {
    shards: Box<[Mutex<Vec<Set>>]>,
    sets_per_shard: usize,
    hasher: RandomState,
}

/// Entries that compete with each other.
type Set = [Option<Entry>; WAYS];

#[derive(Clone, Copy)]
struct Entry {
    signer: Signer,
    /// Uses since it came, minus those that newcomers wore off.
    uses: u8,
}

impl KeyBook {
    /// A book with room for about `capacity` keys.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let sets_per_shard = capacity.div_ceil(WAYS * SHARDS).max(1);
        let shards = (0..SHARDS).map(|_| Mutex::new(Vec::new())).collect();
        Self { shards, sets_per_shard, hasher: RandomState::new() }
    }

    /// The most keys it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.sets_per_shard * WAYS * SHARDS
    }

    /// The number of keys it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        let held = |shard: &Mutex<Vec<Set>>| {
            let sets = shard.lock().unwrap_or_else(PoisonError::into_inner);
            sets.iter().flatten().filter(|entry| entry.is_some()).count()
        };
        self.shards.iter().map(held).sum()
    }

    /// Whether it holds no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key of an address, if it is known.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<Signer> {
        self.with_set(address, |set| {
            let entry = set.iter_mut().flatten().find(|entry| entry.signer.address == *address)?;
            entry.uses = (entry.uses + 1).min(MOST_USES);
            Some(entry.signer)
        })
    }

    /// Adds a key, x and y of 32 bytes each, big-endian; returns its address, or `None` if it is no point of the curve.
    #[allow(clippy::must_use_candidate, reason = "it is called to add")]
    pub fn add(&self, public_key: &[u8; 64]) -> Option<Address> {
        let signer = is_key(public_key).then(|| signer(public_key, &keccak256(public_key)))?;
        self.learn(&signer);
        Some(signer.address)
    }

    /// Adds keys as [`KeyBook::add`] does, and spares those that it holds. The addresses they come with are not relied on.
    pub(crate) fn add_each(&self, signers: impl Iterator<Item = Signer>) {
        let new = signers.filter(|signer| !self.holds(signer) && is_key(&signer.public_key));
        let keys: Vec<[u8; 64]> = new.map(|signer| signer.public_key).collect();
        let mut digests = vec![[0; 32]; keys.len()];
        keccak256_of_keys(&keys, &mut digests);
        for (key, digest) in keys.iter().zip(&digests) {
            self.learn(&signer(key, digest));
        }
    }

    /// Whether it holds a key by that address; that it was asked does not count as a use.
    fn holds(&self, signer: &Signer) -> bool {
        self.with_set(&signer.address, |set| set.iter().flatten().any(|entry| entry.signer == *signer))
    }

    /// Adds a key on the curve with its address.
    fn learn(&self, signer: &Signer) {
        self.with_set(&signer.address, |set| {
            if set.iter().flatten().any(|entry| entry.signer.address == signer.address) {
                return;
            }
            let place = set.iter_mut().min_by_key(|place| place.as_ref().map_or(0, |entry| entry.uses + 1));
            match place {
                Some(place) if place.is_none_or(|entry| entry.uses == 0) => {
                    *place = Some(Entry { signer: *signer, uses: 0 });
                }
                // Every entry has been of use: the newcomer wears them off, so that one no longer used goes in the end.
                _ => set.iter_mut().flatten().for_each(|entry| entry.uses -= 1),
            }
        });
    }

    fn with_set<T>(&self, address: &Address, work: impl FnOnce(&mut Set) -> T) -> T {
        // Addresses are chosen by whoever makes keys; where they go is not.
        let hash = usize::try_from(self.hasher.hash_one(address) >> 1).unwrap_or_default();
        let mut sets = self.shards[hash % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        if sets.is_empty() {
            sets.resize(self.sets_per_shard, [None; WAYS]);
        }
        work(&mut sets[hash / SHARDS % self.sets_per_shard])
    }
}

impl Default for KeyBook {
    /// Room for a quarter of a million keys, 24 MiB.
    fn default() -> Self {
        Self::with_capacity(1 << 18)
    }
}

impl std::fmt::Debug for KeyBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyBook").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

/// Whether it is a point of the curve, by coordinates below p.
fn is_key(public_key: &[u8; 64]) -> bool {
    let (halves, _) = public_key.as_chunks::<32>();
    let [x, y] = [&halves[0], &halves[1]].map(Element::from_be_bytes);
    let point = x.zip(y).map(|(x, y)| AffinePoint { x: x.to_limbs(), y: y.to_limbs() });
    point.is_some_and(|point| is_on_curve(&point))
}

/// A key with the address that its Keccak-256 digest gives.
fn signer(public_key: &[u8; 64], digest: &[u8; 32]) -> Signer {
    let mut address = [0; 20];
    address.copy_from_slice(&digest[12..]);
    Signer { public_key: *public_key, address }
}
