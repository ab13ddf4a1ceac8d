//! Batches to measure with. Their items are valid, and cost what any valid item does.

use sha2::{Digest, Sha256};

use crate::batch::MessageBatch;
use crate::cpu::CpuBackend;
use crate::rules::Rules;
use crate::scheme::ecdsa::{KeyBytes, RecoverBatch, RecoverItem, SignatureBytes, VerifyBatch, VerifyItem};

/// Items that differ; a batch repeats them. A prime, so that they do not fall in step with lanes.
const ITEMS: usize = 61;

/// Bytes of a message: about what a transfer has.
const MESSAGE: usize = 110;

/// Items to make batches of.
#[derive(Debug)]
pub(super) struct Samples {
    recover: Vec<RecoverItem>,
    verify: Vec<VerifyItem>,
}

impl Samples {
    /// Makes items without a secret key: any r that is an x coordinate, with any s and digest, is a signature of the key that it recovers.
    pub(super) fn new(cpu: &CpuBackend) -> Self {
        let word = |kind: u8, index: u32| -> [u8; 32] {
            Sha256::new().chain_update([kind]).chain_update(index.to_le_bytes()).finalize().into()
        };
        let item = |index| RecoverItem {
            digest: word(0, index),
            signature: SignatureBytes { r: word(1, index), s: word(2, index) },
            recovery_id: (index & 1).to_le_bytes()[0],
            rules: Rules::Sec1,
        };
        // Half of all numbers are x coordinates.
        let candidates: Vec<RecoverItem> = (0..4 * 61).map(item).collect();
        let recovered = cpu.recover(&candidates.iter().copied().collect());
        let signed = candidates.into_iter().zip(recovered).filter_map(|(item, signer)| Some((item, signer.valid()?)));
        let signed: Vec<_> = signed.take(ITEMS).collect();
        let verify = |(item, signer): &(RecoverItem, crate::scheme::ecdsa::Signer)| {
            let mut key = [2 + (signer.public_key[63] & 1); 33];
            key[1..].copy_from_slice(&signer.public_key[..32]);
            VerifyItem {
                digest: item.digest,
                signature: item.signature,
                key: KeyBytes::Compressed(key),
                rules: item.rules,
            }
        };
        Self {
            verify: signed.iter().map(verify).collect(),
            recover: signed.into_iter().map(|(item, _)| item).collect(),
        }
    }

    pub(super) fn recover(&self, items: usize) -> RecoverBatch {
        self.recover.iter().copied().cycle().take(items).collect()
    }

    pub(super) fn verify(&self, items: usize) -> VerifyBatch {
        self.verify.iter().copied().cycle().take(items).collect()
    }

    #[allow(clippy::unused_self, reason = "as the others are called")]
    pub(super) fn messages(&self, items: usize) -> MessageBatch {
        let message: Vec<u8> = (0..MESSAGE + 256).map(|byte| byte.to_le_bytes()[0]).collect();
        (0..items).map(|index| &message[index % 256..][..MESSAGE]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_valid() {
        let cpu = CpuBackend::default();
        let samples = Samples::new(&cpu);
        assert_eq!((samples.recover.len(), samples.verify.len()), (ITEMS, ITEMS));
        assert!(cpu.recover(&samples.recover(100)).iter().all(crate::verdict::Verdict::is_valid));
        assert!(cpu.verify(&samples.verify(100)).iter().all(crate::verdict::Verdict::is_valid));
        assert_eq!(samples.messages(1_000).len(), 1_000);
    }
}
