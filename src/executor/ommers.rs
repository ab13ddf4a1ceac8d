//! Whether a block's ommers belong to its chain.

use std::collections::VecDeque;

use alloy_consensus::Header;
use alloy_primitives::B256;

use crate::chain::ethereum::header::{self, HeaderError};
use crate::chain::ethereum::{ChainSpec, MAX_OMMERS, Ommers};

/// How many blocks back an ommer's parent may be, and an ommer may have been included (yellow paper, 11.1).
const GENERATIONS: usize = 7;

/// The newest blocks of a chain, and the ommers they included.
#[derive(Clone, Debug, Default)]
pub(super) struct Ancestry {
    /// The newest last.
    blocks: VecDeque<Ancestor>,
}

#[derive(Clone, Debug)]
struct Ancestor {
    header: Header,
    hash: B256,
    ommers: Vec<B256>,
}

/// What is wrong with a block's ommers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OmmerError {
    #[error("uncles: more than two")]
    TooMany,
    #[error("uncles[{0}]: included before")]
    Repeated(usize),
    #[error("uncles[{0}]: an ancestor of the block")]
    Ancestor(usize),
    #[error("uncles[{0}]: its parent is none of the 2nd to 7th ancestors of the block")]
    Unrelated(usize),
    #[error("uncles[{index}]: {error}")]
    Header { index: usize, error: HeaderError },
    #[error("uncles: known by their hashes alone")]
    Unknown,
}

impl Ancestry {
    /// Adds a chain's next block.
    pub(super) fn push(&mut self, header: &Header, hash: B256, ommers: &Ommers) {
        if self.blocks.len() == GENERATIONS {
            self.blocks.pop_front();
        }
        let ommers = match ommers {
            Ommers::Headers(headers) => headers.iter().map(Header::hash_slow).collect(),
            Ommers::Hashes(hashes) => hashes.clone(),
        };
        self.blocks.push_back(Ancestor { header: header.clone(), hash, ommers });
    }

    /// Checks the ommers of the block after the newest.
    pub(super) fn check(&self, chain: &ChainSpec, ommers: &Ommers) -> Result<(), OmmerError> {
        let headers = match ommers {
            Ommers::Headers(headers) => headers,
            Ommers::Hashes(_) => return Err(OmmerError::Unknown),
        };
        if headers.len() > MAX_OMMERS {
            return Err(OmmerError::TooMany);
        }
        let mut included: Vec<B256> = self.blocks.iter().flat_map(|block| &block.ommers).copied().collect();
        for (index, ommer) in headers.iter().enumerate() {
            let hash = ommer.hash_slow();
            if included.contains(&hash) {
                return Err(OmmerError::Repeated(index));
            }
            included.push(hash);
            if self.blocks.iter().any(|block| block.hash == hash) {
                return Err(OmmerError::Ancestor(index));
            }
            // A child of the block's own parent would be its sibling.
            let related = self.blocks.iter().rev().skip(1).find(|block| block.hash == ommer.parent_hash);
            let parent = related.ok_or(OmmerError::Unrelated(index))?;
            let forks = chain.at(ommer);
            header::check(ommer, &forks)
                .and_then(|()| header::check_succession(ommer, &parent.header, parent.hash, &forks))
                .map_err(|error| OmmerError::Header { index, error })?;
        }
        Ok(())
    }
}
