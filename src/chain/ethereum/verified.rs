//! From a block to a verified block.

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_hardforks::EthereumHardfork;
use alloy_primitives::{Address, B256};

use super::block::{Block, BlockId, Claim, Mismatch, Ommers};
use super::header::{self, HeaderError};
use super::signer::{Group, Rejection, SenderHints, VerifiedBatch, VerifiedTransaction, verify_groups};
use super::spec::{ActiveForks, ChainSpec};
use crate::cpu::HintSource;
use crate::error::Error;
use crate::verifier::Verifier;

/// A block whose header, body and every signature were checked; ready to be executed.
///
/// There is no way to make one but [`verify_block`], [`verify_block_hinted`] and [`verify_blocks`].
#[derive(Clone, Debug)]
pub struct VerifiedBlock {
    header: Header,
    hash: B256,
    transactions: Vec<VerifiedTransaction>,
    ommers: Ommers,
    withdrawals: Option<Vec<Withdrawal>>,
}

impl VerifiedBlock {
    /// A block that is being built: a header whose roots are still open, over transactions that were verified.
    #[cfg(feature = "executor")]
    pub(crate) fn draft(
        header: Header,
        transactions: Vec<VerifiedTransaction>,
        withdrawals: Option<Vec<Withdrawal>>,
    ) -> Self {
        Self { hash: header.hash_slow(), header, transactions, ommers: Ommers::Headers(Vec::new()), withdrawals }
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The block's place in its chain.
    #[must_use]
    pub fn id(&self) -> BlockId {
        BlockId { number: self.header.number, hash: self.hash }
    }

    /// The transactions with their senders, in order.
    #[must_use]
    pub fn transactions(&self) -> &[VerifiedTransaction] {
        &self.transactions
    }

    /// The ommers.
    #[must_use]
    pub fn ommers(&self) -> &Ommers {
        &self.ommers
    }

    /// The withdrawals, from Shanghai on.
    #[must_use]
    pub fn withdrawals(&self) -> Option<&[Withdrawal]> {
        self.withdrawals.as_deref()
    }
}

/// Something that makes a block invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The header breaks a rule of its fork.
    #[error("{0}")]
    Header(HeaderError),
    /// The header, or a claim, does not match the content.
    #[error("{0}")]
    Mismatch(Mismatch),
    /// A transaction is invalid.
    #[error("transaction {index}: {rejection}")]
    Transaction {
        /// Its place in the block.
        index: usize,
        /// Why.
        rejection: Rejection,
    },
    /// A transaction fails as it never may when executed, or the block does.
    #[error("{0}")]
    Execution(String),
}

/// A verified block, or everything found wrong with it; the order is header, body, transactions, claims.
pub type BlockVerdict = Result<VerifiedBlock, Vec<Problem>>;

/// Checks a block by itself: its header under its fork, its body against its header, every signature, and every claim.
///
/// The outer error says that the check could not be made.
///
/// Senders that the block's claims name are taken as hints.
pub fn verify_block(verifier: &Verifier, chain: &ChainSpec, block: Block) -> Result<BlockVerdict, Error> {
    let senders = claimed_senders(&block);
    let hints = SenderHints { senders: &senders, source: verifier.claim_source() };
    verify_block_hinted(verifier, chain, block, hints)
}

/// Does what [`verify_block`] does, with the same verdicts, with senders that were named beside the block.
pub fn verify_block_hinted(
    verifier: &Verifier,
    chain: &ChainSpec,
    block: Block,
    hints: SenderHints<'_>,
) -> Result<BlockVerdict, Error> {
    let verdicts = verify_group(verifier, chain, vec![(block, hints.senders)], hints.source)?;
    let lost = || Error::Lost { backend: "verify_block", handed: 1, answered: 0 };
    verdicts.into_iter().next().ok_or_else(lost)
}

/// Does what [`verify_block`] and [`verify_block_hinted`] do for each of some blocks, in order, with the same verdicts, in less time: the
/// signatures of blocks that follow each other and whose hints are of one source are checked in one batch.
///
/// The outer error says that a check could not be made; nothing is known of any of the blocks then.
pub fn verify_blocks<'a>(
    verifier: &'a Verifier,
    chain: &ChainSpec,
    blocks: Vec<(Block, Option<SenderHints<'a>>)>,
) -> Result<Vec<BlockVerdict>, Error> {
    let count = blocks.len();
    let claimed: Vec<_> =
        blocks.iter().map(|(block, hints)| if hints.is_some() { Vec::new() } else { claimed_senders(block) }).collect();
    let mut verdicts = Vec::with_capacity(count);
    let mut blocks = blocks
        .into_iter()
        .zip(&claimed)
        .map(|((block, hints), claimed)| {
            (block, hints.unwrap_or(SenderHints { senders: claimed, source: verifier.claim_source() }))
        })
        .peekable();
    while let Some((block, SenderHints { senders, source })) = blocks.next() {
        let mut group = vec![(block, senders)];
        while let Some((block, hints)) = blocks.next_if(|(_, hints)| std::ptr::eq(hints.source, source)) {
            group.push((block, hints.senders));
        }
        verdicts.extend(verify_group(verifier, chain, group, source)?);
    }
    if verdicts.len() == count {
        return Ok(verdicts);
    }
    Err(Error::Lost { backend: "verify_blocks", handed: count, answered: verdicts.len() })
}

/// The senders that a block's claims name.
fn claimed_senders(block: &Block) -> Vec<Option<Address>> {
    let mut senders = Vec::new();
    for claim in &block.claims {
        if let Claim::Sender { index, sender } = claim
            && *index < block.transactions.len()
        {
            senders.resize(senders.len().max(index + 1), None);
            senders[*index] = Some(*sender);
        }
    }
    senders
}

/// What is left of a block when its transactions are taken out.
struct Rest {
    header: Header,
    hash: B256,
    claims: Vec<Claim>,
    ommers: Ommers,
    withdrawals: Option<Vec<Withdrawal>>,
    problems: Vec<Problem>,
}

/// Verdicts on blocks with hints of one source, in order.
fn verify_group(
    verifier: &Verifier,
    chain: &ChainSpec,
    blocks: Vec<(Block, &[Option<Address>])>,
    source: &HintSource,
) -> Result<Vec<BlockVerdict>, Error> {
    let forks: Vec<_> = blocks.iter().map(|(block, _)| chain.at(&block.header)).collect();
    let (mut rests, mut groups) = (Vec::with_capacity(blocks.len()), Vec::with_capacity(blocks.len()));
    for ((block, senders), forks) in blocks.into_iter().zip(&forks) {
        let mut problems: Vec<_> = header::check(&block.header, forks).err().map(Problem::Header).into_iter().collect();
        problems.extend(check_size(&block, forks).map(Problem::Header));
        problems.extend(verifier.cpu_backend().install(|| block.check_body()).into_iter().map(Problem::Mismatch));
        let Block { header, hash, transactions, claims, ommers, withdrawals, .. } = block;
        rests.push(Rest { header, hash, claims, ommers, withdrawals, problems });
        groups.push(Group { forks, decoded: transactions.into_iter().map(Ok).collect(), senders });
    }
    let verified = verify_groups(verifier, groups, source)?;
    Ok(rests.into_iter().zip(verified).map(|(rest, verified)| verdict(rest, verified)).collect())
}

/// The verdict on a block whose transactions came to this.
fn verdict(mut rest: Rest, verified: VerifiedBatch) -> BlockVerdict {
    let rejected = verified.rejected.into_iter();
    rest.problems.extend(rejected.map(|(index, rejection)| Problem::Transaction { index, rejection }));
    if rest.problems.is_empty() {
        // Without rejections the places are those of the block.
        rest.problems.extend(wrong_senders(&rest.claims, &verified.transactions).map(Problem::Mismatch));
    }
    if !rest.problems.is_empty() {
        return Err(rest.problems);
    }
    Ok(VerifiedBlock {
        header: rest.header,
        hash: rest.hash,
        transactions: verified.transactions,
        ommers: rest.ommers,
        withdrawals: rest.withdrawals,
    })
}

/// EIP-7934: from Osaka on, a block's RLP takes at most 8 MiB.
fn check_size(block: &Block, forks: &ActiveForks<'_>) -> Option<HeaderError> {
    const MAX_RLP_BLOCK_SIZE: usize = 8 << 20;
    if !forks.has(EthereumHardfork::Osaka) {
        return None;
    }
    let size = block.encode()?.len();
    (size > MAX_RLP_BLOCK_SIZE).then(|| HeaderError::Value {
        field: "size",
        value: size.to_string(),
        expected: format!("expected at most {MAX_RLP_BLOCK_SIZE} bytes"),
    })
}

fn wrong_senders<'a>(
    claims: &'a [Claim],
    transactions: &'a [VerifiedTransaction],
) -> impl Iterator<Item = Mismatch> + 'a {
    claims.iter().filter_map(|claim| match claim {
        Claim::Sender { index, sender } => {
            Mismatch::unless_equal(format!("transactions[{index}].from"), sender, &transactions.get(*index)?.sender())
        }
        _ => None,
    })
}
