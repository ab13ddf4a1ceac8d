//! The difficulty that a proof-of-work block must state.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_hardforks::EthereumHardfork as Fork;
use alloy_primitives::U256;

use super::spec::ActiveForks;

/// The smallest difficulty (yellow paper, 4.4.4).
const MIN_DIFFICULTY: u64 = 131_072;

/// The difficulty moves by multiples of the parent's, divided by this.
const BOUND_DIVISOR: u64 = 2_048;

/// Blocks after which the difficulty bomb doubles.
const BOMB_PERIOD: u64 = 100_000;

/// The difficulty of the block after `parent` at `timestamp`, which is later than the parent's. Saturates instead of
/// overflowing.
///
/// Frontier's rule, EIP-2's, or EIP-100's; the bomb, and its delays by EIP-649, 1234, 2384, 3554, 4345 and 5133.
pub(crate) fn next_difficulty(parent: &Header, timestamp: u64, forks: &ActiveForks<'_>) -> U256 {
    let elapsed = timestamp.saturating_sub(parent.timestamp);
    let step = parent.difficulty / U256::from(BOUND_DIVISOR);
    // The number of steps up, and down; the way down ends at 99.
    let (up, down) = if forks.has(Fork::Byzantium) {
        let up = if parent.ommers_hash == EMPTY_OMMER_ROOT_HASH { 1 } else { 2 };
        (up, elapsed / 9)
    } else if forks.has(Fork::Homestead) {
        (1, elapsed / 10)
    } else if elapsed < 13 {
        (1, 0)
    } else {
        (0, 1)
    };
    let moved = if down <= up {
        parent.difficulty.saturating_add(step.saturating_mul(U256::from(up - down)))
    } else {
        parent.difficulty.saturating_sub(step.saturating_mul(U256::from((down - up).min(99))))
    };
    let moved = moved.max(U256::from(MIN_DIFFICULTY));
    let bomb_number = if forks.has(Fork::Byzantium) {
        // EIP-649 counts from the parent's number.
        parent.number.saturating_sub(bomb_delay(forks) - 1)
    } else {
        parent.number.saturating_add(1)
    };
    let periods = bomb_number / BOMB_PERIOD;
    if periods < 2 {
        return moved;
    }
    let bomb = usize::try_from(periods - 2).ok().and_then(|exponent| U256::ONE.checked_shl(exponent));
    let with_bomb = moved.saturating_add(bomb.unwrap_or(U256::MAX));
    // Before EIP-100 the bomb was added first and the minimum taken of the sum, which is the same: both are positive.
    with_bomb.max(U256::from(MIN_DIFFICULTY))
}

/// By how many blocks the bomb is late.
fn bomb_delay(forks: &ActiveForks<'_>) -> u64 {
    let delays = [
        (Fork::GrayGlacier, 11_400_000),
        (Fork::ArrowGlacier, 10_700_000),
        (Fork::London, 9_700_000),
        (Fork::MuirGlacier, 9_000_000),
        (Fork::Constantinople, 5_000_000),
    ];
    delays.into_iter().find(|(fork, _)| forks.has(*fork)).map_or(3_000_000, |(_, delay)| delay)
}
