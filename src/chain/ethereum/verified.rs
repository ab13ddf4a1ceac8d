//! From a block to a verified block.

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_hardforks::EthereumHardfork;
use alloy_primitives::B256;

use super::block::{Block, BlockId, Claim, Mismatch, Ommers};
use super::header::{self, HeaderError};
use super::signer::{Rejection, SenderHints, VerifiedTransaction, verify_transactions_hinted};
use super::spec::{ActiveForks, ChainSpec};
use crate::error::Error;
use crate::verifier::Verifier;

/// A block whose header, body and every signature were checked; ready to be executed.
///
/// There is no way to make one but [`verify_block`].
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
    let mut senders = Vec::new();
    for claim in &block.claims {
        if let Claim::Sender { index, sender } = claim
            && *index < block.transactions.len()
        {
            senders.resize(senders.len().max(index + 1), None);
            senders[*index] = Some(*sender);
        }
    }
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
    let forks = chain.at(&block.header);
    let mut problems: Vec<_> = header::check(&block.header, &forks).err().map(Problem::Header).into_iter().collect();
    problems.extend(check_size(&block, &forks).map(Problem::Header));
    problems.extend(verifier.cpu_backend().install(|| block.check_body()).into_iter().map(Problem::Mismatch));
    let decoded = block.transactions.into_iter().map(Ok).collect();
    let verified = verify_transactions_hinted(verifier, &forks, decoded, hints)?;
    problems.extend(verified.rejected.into_iter().map(|(index, rejection)| Problem::Transaction { index, rejection }));
    if problems.is_empty() {
        // Without rejections the places are those of the block.
        problems.extend(wrong_senders(&block.claims, &verified.transactions).map(Problem::Mismatch));
    }
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    Ok(Ok(VerifiedBlock {
        header: block.header,
        hash: block.hash,
        transactions: verified.transactions,
        ommers: block.ommers,
        withdrawals: block.withdrawals,
    }))
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
