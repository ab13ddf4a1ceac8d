//! Which messages of different lengths share the lanes of a vector.

/// Hashes each message into the digest at its index, `N` messages at a time by `lanes`, or `alone` where lanes would
/// stand idle.
///
/// The lanes take as many steps as the longest of their messages has `blocks`. Messages are therefore taken in the order of
/// their blocks, most first, so that over a whole slice lanes idle for no more steps than its longest message has; and one
/// that outweighs the others of its group goes alone.
pub(super) fn hash_in_lanes<const N: usize>(
    messages: &[&[u8]],
    digests: &mut [[u8; 32]],
    blocks: impl Fn(&[u8]) -> usize,
    lanes: impl Fn([&[u8]; N]) -> [[u8; 32]; N],
    alone: impl Fn(&[u8]) -> [u8; 32],
) {
    let mut order: Vec<_> =
        messages.iter().zip(digests).map(|(message, digest)| (blocks(message), *message, digest)).collect();
    if !order.is_sorted_by(|(blocks, ..), (next, ..)| blocks >= next) {
        order.sort_unstable_by_key(|(blocks, ..)| std::cmp::Reverse(*blocks));
    }
    let mut rest = &mut order[..];
    while let Some((longest, message)) = rest.first().map(|(blocks, message, _)| (*blocks, *message)) {
        let together = rest.len().min(N);
        let steps: usize = rest[..together].iter().map(|(blocks, ..)| blocks).sum();
        // A step of all lanes takes less than twice the time of one message's block.
        let is_alone = steps < 2 * longest;
        let (group, after) = std::mem::take(&mut rest).split_at_mut(if is_alone { 1 } else { together });
        rest = after;
        if is_alone {
            for (.., digest) in group {
                **digest = alone(message);
            }
            continue;
        }
        // Lanes without a message of their own repeat the first.
        let hashed = lanes(std::array::from_fn(|lane| group.get(lane).map_or(message, |(_, message, _)| *message)));
        for ((.., digest), hashed) in group.iter_mut().zip(hashed) {
            **digest = hashed;
        }
    }
}
