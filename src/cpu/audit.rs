//! The audit of recoveries that were made elsewhere: by a GPU, whose arithmetic nobody vouches for.
//!
//! That a key signed is cheaper to check in bulk than to find: each recovered key is put to the batch check. What is not
//! proven is disputed, and whoever asked takes the exact answer for it.

use std::ops::Range;

use crate::arithmetic::ecdsa::Named;
use crate::arithmetic::field::portable::Element;
use crate::arithmetic::group::AffinePoint;
use crate::scheme::ecdsa::{KeyBytes, RecoverBatch, Signer};
use crate::verdict::Verdict;

use super::CpuBackend;
use super::batch_check::prove;
use super::ecdsa::{named, prepare_recovery};
use super::ecdsa_claims::{Subject, claims};
use super::hash::keccak256_of_keys;

/// Which recoveries are audited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Audit {
    /// All.
    #[default]
    Full,
    /// A run of consecutive items, one in this many, at a place drawn anew for every batch.
    Sample(u32),
    /// None.
    Off,
}

/// One item in this many is what `sample` stands for.
const SAMPLE: u32 = 16;

impl std::str::FromStr for Audit {
    type Err = String;

    /// Reads `full`, `sample` (one item in 16) or `off`.
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "full" => Ok(Self::Full),
            "sample" => Ok(Self::Sample(SAMPLE)),
            "off" => Ok(Self::Off),
            _ => Err(format!("`{name}` is not `full`, `sample` or `off`")),
        }
    }
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Recovered keys that were checked.
    pub checked: usize,
    /// The places of those that were not proven, rising: wrong, or checked along with one that is.
    pub disputed: Vec<usize>,
    /// Those of them that the exact check answers otherwise; found by [`CpuBackend::confirm`] alone.
    pub wrong: Vec<usize>,
}

impl CpuBackend {
    /// Audits the answers to a batch of recoveries and puts this backend's own in the place of those that are disputed.
    ///
    /// Returns as many answers as it was handed.
    #[must_use]
    pub fn confirm(
        &self,
        batch: &RecoverBatch,
        mut answers: Vec<Verdict<Signer>>,
        audit: Audit,
    ) -> (Vec<Verdict<Signer>>, AuditReport) {
        let mut report = self.audit(batch, &answers, None, audit);
        let mut disputed = RecoverBatch::with_capacity(report.disputed.len());
        for item in report.disputed.iter().filter_map(|index| batch.get(*index)) {
            disputed.push_parsed(item);
        }
        for (index, answer) in report.disputed.iter().zip(self.recover(&disputed)) {
            if answers[*index] != answer {
                report.wrong.push(*index);
                answers[*index] = answer;
            }
        }
        (answers, report)
    }

    /// Checks answers to a batch of recoveries; `answers` are in the batch's order, and `ephemeral_ys` holds, where it is given,
    /// the y coordinate of each answer's R, big-endian, which spares a square root.
    ///
    /// Only keys are audited: of an item that was rejected there is nothing to prove, and the exact check is the way to confirm
    /// it. An answer that is a key for an item with none, or with another address than its key's, is disputed as well.
    #[must_use]
    pub fn audit(
        &self,
        batch: &RecoverBatch,
        answers: &[Verdict<Signer>],
        ephemeral_ys: Option<&[[u8; 32]]>,
        audit: Audit,
    ) -> AuditReport {
        let indices = audited(audit, answers.len());
        let places: Vec<(usize, Signer)> =
            indices.filter_map(|index| Some((index, answers.get(index)?.valid()?))).collect();
        let subject = |((index, signer), digest): (&(usize, Signer), &[u8; 32])| {
            if digest[12..] != signer.address {
                return None;
            }
            let mut recovery = prepare_recovery(&batch.get(*index)?.ok()?).ok()?;
            if let Some(y) = ephemeral_ys.and_then(|ys| ys.get(*index)) {
                recovery.ephemeral = with_y(&recovery.ephemeral, y)?;
            }
            let key = KeyBytes::Uncompressed(signer.public_key);
            key.check().ok()?;
            Some(Subject { recovery, key: named(&key) })
        };
        let claimed = |places: &[(usize, Signer)]| {
            let keys: Vec<[u8; 64]> = places.iter().map(|(_, signer)| signer.public_key).collect();
            let mut digests = vec![[0; 32]; keys.len()];
            keccak256_of_keys(&keys, &mut digests);
            claims(self.platform, places.iter().zip(&digests).map(subject))
        };
        self.install(|| {
            let proven = prove(self.platform, &places, claimed);
            let disputed = places.iter().zip(proven).filter(|(_, proven)| !proven);
            let disputed = disputed.map(|((index, _), _)| *index).collect();
            AuditReport { checked: places.len(), disputed, wrong: Vec::new() }
        })
    }
}

/// R by both coordinates, if the y given has the parity that the recovery id asks for and is below p. Whether it is the y of
/// that x is checked with the other points.
fn with_y(ephemeral: &Named, y: &[u8; 32]) -> Option<Named> {
    let Named::Compressed { x, y_is_odd } = *ephemeral else { return None };
    let y = Element::from_be_bytes(y)?;
    (y.is_odd() == y_is_odd).then(|| Named::Uncompressed(AffinePoint { x, y: y.to_limbs() }))
}

/// The places to look at. Where no place can be drawn at random, all of them.
fn audited(audit: Audit, length: usize) -> Range<usize> {
    match audit {
        Audit::Full => 0..length,
        Audit::Off => 0..0,
        Audit::Sample(share) => {
            let count = length.div_ceil(share.max(1) as usize);
            let mut random = [0; 8];
            if getrandom::fill(&mut random).is_err() {
                return 0..length;
            }
            let last = (length - count) as u64;
            let start = usize::try_from(u64::from_le_bytes(random) % (last + 1)).unwrap_or_default();
            start..start + count
        }
    }
}
