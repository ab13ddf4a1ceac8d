// What digests have in common.

//#include "seal"

// The words of a digest added to a seal, in order.
@must_use
fn seal_add_digest(seal: u32, digest: array<u32, 8>) -> u32 {
    let half = seal_add(seal_add(seal_add(seal_add(seal, digest[0]), digest[1]), digest[2]), digest[3]);
    return seal_add(seal_add(seal_add(seal_add(half, digest[4]), digest[5]), digest[6]), digest[7]);
}
