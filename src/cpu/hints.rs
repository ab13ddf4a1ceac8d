//! Recovery with hints: a signature whose signer is named, and known by key, is put to the batch check and not recovered.
//!
//! A hint is believed as far as it can be proven: where the equation of recovery holds with the key of the address named, that key
//! is what recovery would have found. Everything else is recovered, so a wrong hint costs time and changes no verdict.

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use crate::batch::Batch;
use crate::key_book::KeyBook;
use crate::scheme::ecdsa::{Address, KeyBytes, RecoverBatch, Signer};
use crate::verdict::Verdict;

use super::CpuBackend;
use super::batch_check::prove;
use super::credit::Credit;
use super::ecdsa::{named, prepare_recovery};
use super::ecdsa_claims::{Subject, claims};

/// Where hints come from, and how they have fared: a feed, a column of an archive, a peer.
///
/// Once more than a small share of its hints proved wrong, a source is not believed for as many items as it was believed
/// for, and for twice as many each time it happens again; so what wrong hints cost is bounded by a share of the recoveries,
/// which shrinks as they go on.
#[derive(Debug, Default)]
pub struct HintSource {
    credit: Credit,
}

impl HintSource {
    /// A source about which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Who is said to have signed each item of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Hints<'a> {
    /// An address, or nothing, for each item in the batch's order. Items past the end have no hint.
    pub senders: &'a [Option<Address>],
    /// Where they come from.
    pub source: &'a HintSource,
}

/// Items a thread takes at a time to look their hints up.
const CANDIDATES_PER_TASK: usize = 256;

/// Recovered keys a thread takes at a time into the book.
const KEYS_PER_TASK: usize = 128;

/// What became of the hints of a batch. Those of a batch too small to gain by them are not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HintReport {
    /// Items whose hint was proven right by the batch check.
    pub proven: usize,
    /// Items that were put to the batch check and not proven: hints that were wrong, and what was checked with them.
    pub unproven: usize,
    /// Items that were recovered, unproven ones included.
    pub recovered: usize,
}

/// Recovers every item, as `recover` does, and proves instead of recovering where a hint and the book allow it. What
/// `recover` finds goes into the book.
pub(crate) fn recover_hinted<E>(
    cpu: &CpuBackend,
    batch: &RecoverBatch,
    hints: Hints<'_>,
    book: &KeyBook,
    recover: impl FnOnce(&RecoverBatch) -> Result<Vec<Verdict<Signer>>, E>,
) -> Result<(Vec<Verdict<Signer>>, HintReport), E> {
    let believed = hints.source.credit.extends_to(batch.len()) && cpu.reaches_batch_check(batch.len());
    let (candidates, proven) = if believed {
        cpu.install(|| {
            let candidates = candidates(batch, hints, book);
            if !cpu.reaches_batch_check(candidates.len()) {
                return (Vec::new(), Vec::new());
            }
            let subject = |candidate: &Candidate| {
                let key = named(&KeyBytes::Uncompressed(candidate.signer.public_key));
                let recovery = prepare_recovery(&batch.get(candidate.index)?.ok()?).ok()?;
                Some(Subject { recovery, key })
            };
            let proven = prove(cpu.platform, &candidates, |run| claims(cpu.platform, run.iter().map(subject)));
            (candidates, proven)
        })
    } else {
        (Vec::new(), Vec::new())
    };
    let mut signers = vec![None; batch.len()];
    for (candidate, _) in candidates.iter().zip(&proven).filter(|(_, proven)| **proven) {
        signers[candidate.index] = Some(candidate.signer);
    }
    let rest = signers.iter().filter(|signer| signer.is_none()).count();
    let recovered = if rest == batch.len() { recover(batch)? } else { recover(&unproven(batch, &signers, rest))? };
    let report =
        HintReport { proven: batch.len() - rest, unproven: candidates.len() + rest - batch.len(), recovered: rest };
    learn(cpu, book, &recovered);
    let mut recovered = recovered.into_iter();
    let verdicts: Vec<_> = signers
        .into_iter()
        // As many were recovered as are missing; the caller counts the verdicts.
        .filter_map(|signer| signer.map(Verdict::Valid).or_else(|| recovered.next()))
        .collect();
    let wrong = candidates.iter().filter(|candidate| {
        !matches!(verdicts.get(candidate.index), Some(Verdict::Valid(signer)) if *signer == candidate.signer)
    });
    hints.source.credit.settle(candidates.len(), wrong.count());
    Ok((verdicts, report))
}

/// An item whose signer is named and known by key.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    index: usize,
    signer: Signer,
}

/// The items that pass every check but those of the curve, and whose hint the book knows.
fn candidates(batch: &RecoverBatch, hints: Hints<'_>, book: &KeyBook) -> Vec<Candidate> {
    let candidate = |(index, sender): (usize, &Option<Address>)| {
        let sender = sender.as_ref()?;
        batch.get(index)?.ok()?.check().ok()?;
        Some(Candidate { index, signer: book.get(sender)? })
    };
    hints.senders.par_iter().enumerate().with_min_len(CANDIDATES_PER_TASK).filter_map(candidate).collect()
}

/// Adds the keys that were recovered to the book.
fn learn(cpu: &CpuBackend, book: &KeyBook, recovered: &[Verdict<Signer>]) {
    let learn = |verdicts: &[Verdict<Signer>]| book.add_each(verdicts.iter().filter_map(|verdict| verdict.valid()));
    if recovered.len() <= KEYS_PER_TASK {
        return learn(recovered);
    }
    cpu.install(|| recovered.par_chunks(KEYS_PER_TASK).for_each(learn));
}

/// The items without a signer, so many, among them those that did not parse.
fn unproven(batch: &RecoverBatch, signers: &[Option<Signer>], count: usize) -> RecoverBatch {
    let mut rest = Batch::with_capacity(count);
    for (index, _) in signers.iter().enumerate().filter(|(_, signer)| signer.is_none()) {
        if let Some(item) = batch.get(index) {
            rest.push_parsed(item);
        }
    }
    rest
}
