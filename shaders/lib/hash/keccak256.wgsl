// Keccak-256 with the original padding (0x01, as Ethereum uses it): the permutation Keccak-f[1600], and digests of 64 bytes.
//
// A lane of the state is 64 bits, kept as its low and its high word; that of column x and row y stands at index x + 5y. It has no
// carries, so that 64-bit integers would gain it nothing.

// a, rotated to the left by n. n: a constant from 1 to 63 but 32.
fn keccak_rotate(a: vec2<u32>, n: u32) -> vec2<u32> {
    let b = select(a, a.yx, n > 32u);
    let m = n % 32u;
    return (b << vec2(m)) | (b.yx >> vec2(32u - m));
}

// The constant of a round. Its bits stand at 2^j - 1 alone: each number here holds one of them, of every round, a bit a round.
fn keccak_round_constant(round: u32) -> vec2<u32> {
    let low = ((0x50f4f1u >> round) & 1u)
        | (((0x0db916u >> round) & 1u) << 1u)
        | (((0x8c7f94u >> round) & 1u) << 3u)
        | (((0x327356u >> round) & 1u) << 7u)
        | (((0xb5d4deu >> round) & 1u) << 15u)
        | ((0xd81c68u >> round) << 31u);
    return vec2(low, (0xbbe0ccu >> round) << 31u);
}

// FIPS 202, section 3.3: theta; rho and pi, which leave b; chi and iota.
fn keccak_f1600(state: array<vec2<u32>, 25>) -> array<vec2<u32>, 25> {
    var a = state;
    for (var round = 0u; round < 24u; round++) {
        let c0 = a[0] ^ a[5] ^ a[10] ^ a[15] ^ a[20];
        let c1 = a[1] ^ a[6] ^ a[11] ^ a[16] ^ a[21];
        let c2 = a[2] ^ a[7] ^ a[12] ^ a[17] ^ a[22];
        let c3 = a[3] ^ a[8] ^ a[13] ^ a[18] ^ a[23];
        let c4 = a[4] ^ a[9] ^ a[14] ^ a[19] ^ a[24];
        let d0 = c4 ^ keccak_rotate(c1, 1u);
        let d1 = c0 ^ keccak_rotate(c2, 1u);
        let d2 = c1 ^ keccak_rotate(c3, 1u);
        let d3 = c2 ^ keccak_rotate(c4, 1u);
        let d4 = c3 ^ keccak_rotate(c0, 1u);
        let b0 = a[0] ^ d0;
        let b1 = keccak_rotate(a[6] ^ d1, 44u);
        let b2 = keccak_rotate(a[12] ^ d2, 43u);
        let b3 = keccak_rotate(a[18] ^ d3, 21u);
        let b4 = keccak_rotate(a[24] ^ d4, 14u);
        let b5 = keccak_rotate(a[3] ^ d3, 28u);
        let b6 = keccak_rotate(a[9] ^ d4, 20u);
        let b7 = keccak_rotate(a[10] ^ d0, 3u);
        let b8 = keccak_rotate(a[16] ^ d1, 45u);
        let b9 = keccak_rotate(a[22] ^ d2, 61u);
        let b10 = keccak_rotate(a[1] ^ d1, 1u);
        let b11 = keccak_rotate(a[7] ^ d2, 6u);
        let b12 = keccak_rotate(a[13] ^ d3, 25u);
        let b13 = keccak_rotate(a[19] ^ d4, 8u);
        let b14 = keccak_rotate(a[20] ^ d0, 18u);
        let b15 = keccak_rotate(a[4] ^ d4, 27u);
        let b16 = keccak_rotate(a[5] ^ d0, 36u);
        let b17 = keccak_rotate(a[11] ^ d1, 10u);
        let b18 = keccak_rotate(a[17] ^ d2, 15u);
        let b19 = keccak_rotate(a[23] ^ d3, 56u);
        let b20 = keccak_rotate(a[2] ^ d2, 62u);
        let b21 = keccak_rotate(a[8] ^ d3, 55u);
        let b22 = keccak_rotate(a[14] ^ d4, 39u);
        let b23 = keccak_rotate(a[15] ^ d0, 41u);
        let b24 = keccak_rotate(a[21] ^ d1, 2u);
        a[0] = b0 ^ (~b1 & b2) ^ keccak_round_constant(round);
        a[1] = b1 ^ (~b2 & b3);
        a[2] = b2 ^ (~b3 & b4);
        a[3] = b3 ^ (~b4 & b0);
        a[4] = b4 ^ (~b0 & b1);
        a[5] = b5 ^ (~b6 & b7);
        a[6] = b6 ^ (~b7 & b8);
        a[7] = b7 ^ (~b8 & b9);
        a[8] = b8 ^ (~b9 & b5);
        a[9] = b9 ^ (~b5 & b6);
        a[10] = b10 ^ (~b11 & b12);
        a[11] = b11 ^ (~b12 & b13);
        a[12] = b12 ^ (~b13 & b14);
        a[13] = b13 ^ (~b14 & b10);
        a[14] = b14 ^ (~b10 & b11);
        a[15] = b15 ^ (~b16 & b17);
        a[16] = b16 ^ (~b17 & b18);
        a[17] = b17 ^ (~b18 & b19);
        a[18] = b18 ^ (~b19 & b15);
        a[19] = b19 ^ (~b15 & b16);
        a[20] = b20 ^ (~b21 & b22);
        a[21] = b21 ^ (~b22 & b23);
        a[22] = b22 ^ (~b23 & b24);
        a[23] = b23 ^ (~b24 & b20);
        a[24] = b24 ^ (~b20 & b21);
    }
    return a;
}

// The digest of 64 bytes, in words as they stand in memory, the first byte lowest.
fn keccak256_of_64(message: array<u32, 16>) -> array<u32, 8> {
    let zero = vec2(0u);
    var a = keccak_f1600(array<vec2<u32>, 25>(
        vec2(message[0], message[1]),
        vec2(message[2], message[3]),
        vec2(message[4], message[5]),
        vec2(message[6], message[7]),
        vec2(message[8], message[9]),
        vec2(message[10], message[11]),
        vec2(message[12], message[13]),
        vec2(message[14], message[15]),
        vec2(0x01u, 0u), zero, zero, zero, zero, zero, zero, zero,
        // The last bit of the rate.
        vec2(0u, 0x80000000u), zero, zero, zero, zero, zero, zero, zero, zero,
    ));
    return keccak_digest(a);
}

// The digest of two numbers of 256 bits, the least significant word first, as bytes they are hashed the most significant first: of
// a public key's x and y.
fn keccak256_of_point(x: array<u32, 8>, y: array<u32, 8>) -> array<u32, 8> {
    return keccak256_of_64(array<u32, 16>(
        byte_swap(x[7]), byte_swap(x[6]), byte_swap(x[5]), byte_swap(x[4]),
        byte_swap(x[3]), byte_swap(x[2]), byte_swap(x[1]), byte_swap(x[0]),
        byte_swap(y[7]), byte_swap(y[6]), byte_swap(y[5]), byte_swap(y[4]),
        byte_swap(y[3]), byte_swap(y[2]), byte_swap(y[1]), byte_swap(y[0]),
    ));
}

// The first 32 bytes of the state, in words as they stand in memory.
fn keccak_digest(a: array<vec2<u32>, 25>) -> array<u32, 8> {
    return array<u32, 8>(a[0].x, a[0].y, a[1].x, a[1].y, a[2].x, a[2].y, a[3].x, a[3].y);
}

fn byte_swap(a: u32) -> u32 {
    return (a << 24u) | ((a & 0xff00u) << 8u) | ((a >> 8u) & 0xff00u) | (a >> 24u);
}
