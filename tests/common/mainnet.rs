//! Mainnet blocks with the state before them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use phalanx::Verifier;
use phalanx::chain::ethereum::{Block, ChainSpec, Claim, VerifiedBlock, block_from_json, verify_block};
use phalanx::executor::PreState;

use super::test_data;

pub(crate) fn unzip(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut text).unwrap();
    text
}

/// The block files of a folder, in order.
pub(crate) fn block_files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(".block.json.gz"))
        .collect();
    paths.sort();
    paths
}

/// Verifies a block; every claim of the file was compared.
pub(crate) fn verified(block: Block, name: &str) -> VerifiedBlock {
    verified_by(&Verifier::cpu(), block, name)
}

/// The same by a backend.
pub(crate) fn verified_by(verifier: &Verifier, block: Block, name: &str) -> VerifiedBlock {
    let claims = block.claims.len();
    // The block's own hash, and a hash and a sender for each transaction.
    assert_eq!(claims, 1 + 2 * block.transactions.len(), "{name}");
    assert!(matches!(block.claims[0], Claim::BlockHash(_)), "{name}");
    verify_block(verifier, &ChainSpec::mainnet(), block).unwrap().unwrap_or_else(|problems| {
        panic!("{name}: {}", problems[0]);
    })
}

/// A block and what it reads of the state before it.
pub(crate) struct WithState {
    pub(crate) name: String,
    pub(crate) block: VerifiedBlock,
    pub(crate) state: PreState,
}

/// Every block that can be executed; `None` where the test data are not.
pub(crate) fn with_states() -> Option<impl Iterator<Item = WithState>> {
    let root = test_data("ethereum-mainnet")?;
    let codes = unzip(&root.join("bytecodes.json.gz"));
    let block_hashes = unzip(&root.join("block_hashes.json.gz"));
    Some(block_files(&root.join("full")).into_iter().map(move |path| {
        let name = path.display().to_string();
        let block = verified(block_from_json(&unzip(&path)).unwrap(), &name);
        let mut state = PreState::from_json(&unzip(Path::new(&name.replace(".block.", ".prestate.")))).unwrap();
        state.add_codes_from_json(&codes).unwrap();
        state.add_block_hashes_from_json(&block_hashes, block.header().number).unwrap();
        WithState { name, block, state }
    }))
}
