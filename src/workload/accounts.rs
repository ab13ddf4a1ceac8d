//! The accounts of a workload: their keys, and how far their nonces are.

use alloy_primitives::{Address, keccak256};
use k256::Scalar;
use k256::elliptic_curve::ops::ReduceNonZero;
use k256::elliptic_curve::sec1::ToSec1Point;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::generator::generator_multiples_var;

/// Accounts whose keys a thread derives at a time, sharing an inversion.
const ACCOUNTS_PER_TASK: usize = 256;

/// What is kept of an account, in about 80 bytes.
#[derive(Debug)]
pub(super) struct Account {
    /// The private key.
    pub(super) key: Scalar,
    pub(super) address: Address,
    /// The nonce of its next transaction or authorization.
    nonce: u64,
}

impl Account {
    /// Uses up a nonce.
    pub(super) fn next_nonce(&mut self) -> u64 {
        let nonce = self.nonce;
        self.nonce += 1;
        nonce
    }

    /// The nonce that is next, not used up.
    pub(super) fn nonce(&self) -> u64 {
        self.nonce
    }
}

/// The accounts of a seed. The first ones are the same however many there are.
pub(super) fn derive_accounts(seed: u64, count: usize) -> Vec<Account> {
    let keys: Vec<_> = (0..count as u64).into_par_iter().map(|index| private_key(seed, index)).collect();
    keys.par_chunks(ACCOUNTS_PER_TASK)
        .flat_map_iter(|keys| {
            let public_keys = generator_multiples_var(keys);
            keys.iter().zip(public_keys).map(|(key, public_key)| {
                let encoded = public_key.to_sec1_point(false);
                let xy = encoded.as_bytes().get(1..).unwrap_or_default();
                Account { key: *key, address: Address::from_word(keccak256(xy)), nonce: 0 }
            })
        })
        .collect()
}

/// The Keccak-256 of a domain, the seed and the index, brought into `[1, n - 1]`.
fn private_key(seed: u64, index: u64) -> Scalar {
    let [seed, index] = [seed, index].map(u64::to_be_bytes);
    let digest = keccak256([b"phalanx workload key".as_slice(), &seed, &index].concat());
    Scalar::reduce_nonzero(&k256::FieldBytes::from(digest.0))
}
