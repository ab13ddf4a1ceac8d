//! Constants that shaders and Rust share; their one definition is here.

pub(crate) mod ecdsa;

use std::collections::BTreeMap;

use super::super::program::HEADER_WORDS;

/// Lanes in a workgroup: a whole number of subgroups on every adapter known, and few enough that a kernel which
/// needs many registers still fits.
pub const WORKGROUP_SIZE: u32 = 64;

/// Steps of a timing kernel's chain.
pub(crate) const CHAIN_LENGTH: u32 = 256;

/// What `fe_mul_small` is checked with, besides one.
pub(crate) const SMALL_FACTOR: u32 = 0xffff;

/// Blocks of a message that a lane hashes at most: what is longer is the CPU's. A lane's neighbours wait for it, and at 24 rounds a block
/// its loops stay far below the 65,535 iterations after which some drivers end them.
pub(crate) const HASH_MAX_BLOCKS: u32 = 128;

/// Leaves of a subtree that a lane reduces to its root.
pub(crate) const MERKLE_LEAVES: u32 = 16;

/// Each constant as WGSL declares it.
pub(super) fn declarations() -> BTreeMap<&'static str, String> {
    let numbers = [
        ("WORKGROUP_SIZE", WORKGROUP_SIZE as usize),
        ("CHAIN_LENGTH", CHAIN_LENGTH as usize),
        ("SMALL_FACTOR", SMALL_FACTOR as usize),
        ("HEADER_WORDS", HEADER_WORDS),
        ("HASH_MAX_BLOCKS", HASH_MAX_BLOCKS as usize),
        ("MERKLE_LEAVES", MERKLE_LEAVES as usize),
    ];
    let numbers = numbers.into_iter().map(|(name, value)| (name, format!("const {name}: u32 = {value}u;")));
    numbers.chain(ecdsa::declarations()).collect()
}
