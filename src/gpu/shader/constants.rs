//! Constants that shaders and Rust share; their one definition is here.

use std::collections::BTreeMap;

pub(crate) mod ecdsa;

/// Lanes in a workgroup: a whole number of subgroups on every adapter known, and few enough that a kernel which
/// needs many registers still fits.
pub const WORKGROUP_SIZE: u32 = 64;

/// Steps of a timing kernel's chain.
pub(crate) const CHAIN_LENGTH: u32 = 256;

/// What `fe_mul_small` is checked with, besides one.
pub(crate) const SMALL_FACTOR: u32 = 0xffff;

/// Each constant as WGSL declares it.
pub(super) fn declarations() -> BTreeMap<&'static str, String> {
    let numbers = [("WORKGROUP_SIZE", WORKGROUP_SIZE), ("CHAIN_LENGTH", CHAIN_LENGTH), ("SMALL_FACTOR", SMALL_FACTOR)];
    let numbers = numbers.into_iter().chain(ecdsa::NUMBERS.iter().copied());
    let numbers = numbers.map(|(name, value)| (name, format!("const {name}: u32 = {value}u;")));
    numbers.chain(ecdsa::declarations()).collect()
}
