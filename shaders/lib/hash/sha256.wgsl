// SHA-256 (FIPS 180-4, section 6.2): the compression function, and digests of digests and of two children.
//
// Words are those of the standard, the first byte highest. The 64 rounds are written out: their constants are then part of the
// code, where a loop would have to index them, which some drivers do by way of memory, a hundred times slower.

const SHA256_INITIAL = array<u32, 8>(
    0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u,
);

const SHA256_CONSTANTS_0 = array<u32, 16>(
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
);

const SHA256_CONSTANTS_1 = array<u32, 16>(
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
);

const SHA256_CONSTANTS_2 = array<u32, 16>(
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
);

const SHA256_CONSTANTS_3 = array<u32, 16>(
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
);

// The padding that follows a block of 64 bytes by itself.
const SHA256_PADDING_OF_64 = array<u32, 16>(0x80000000u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 512u);

struct Sha256Variables {
    a: u32,
    b: u32,
    c: u32,
    d: u32,
    e: u32,
    f: u32,
    g: u32,
    h: u32,
}

// The state after a further block.
fn sha256_compress(state: array<u32, 8>, block: array<u32, 16>) -> array<u32, 8> {
    var v = Sha256Variables(state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]);
    v = sha256_rounds(v, SHA256_CONSTANTS_0, block);
    let schedule_1 = sha256_schedule(block);
    v = sha256_rounds(v, SHA256_CONSTANTS_1, schedule_1);
    let schedule_2 = sha256_schedule(schedule_1);
    v = sha256_rounds(v, SHA256_CONSTANTS_2, schedule_2);
    v = sha256_rounds(v, SHA256_CONSTANTS_3, sha256_schedule(schedule_2));
    return array<u32, 8>(
        state[0] + v.a, state[1] + v.b, state[2] + v.c, state[3] + v.d,
        state[4] + v.e, state[5] + v.f, state[6] + v.g, state[7] + v.h,
    );
}

// The digest of a digest.
fn sha256_of_digest(digest: array<u32, 8>) -> array<u32, 8> {
    return sha256_compress(SHA256_INITIAL, array<u32, 16>(
        digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
        0x80000000u, 0u, 0u, 0u, 0u, 0u, 0u, 256u,
    ));
}

// The digest of the digest of two children, as Bitcoin's tree joins them. The second block is a constant, and so is its schedule.
fn sha256d_of_pair(left: array<u32, 8>, right: array<u32, 8>) -> array<u32, 8> {
    let state = sha256_compress(SHA256_INITIAL, array<u32, 16>(
        left[0], left[1], left[2], left[3], left[4], left[5], left[6], left[7],
        right[0], right[1], right[2], right[3], right[4], right[5], right[6], right[7],
    ));
    return sha256_of_digest(sha256_compress(state, SHA256_PADDING_OF_64));
}

// The digest of 0x01 and two children, 65 bytes, as RFC 6962 joins them: every word is a byte late.
fn sha256_of_prefixed_pair(left: array<u32, 8>, right: array<u32, 8>) -> array<u32, 8> {
    let state = sha256_compress(SHA256_INITIAL, array<u32, 16>(
        sha256_byte_late(0x01u, left[0]),
        sha256_byte_late(left[0], left[1]),
        sha256_byte_late(left[1], left[2]),
        sha256_byte_late(left[2], left[3]),
        sha256_byte_late(left[3], left[4]),
        sha256_byte_late(left[4], left[5]),
        sha256_byte_late(left[5], left[6]),
        sha256_byte_late(left[6], left[7]),
        sha256_byte_late(left[7], right[0]),
        sha256_byte_late(right[0], right[1]),
        sha256_byte_late(right[1], right[2]),
        sha256_byte_late(right[2], right[3]),
        sha256_byte_late(right[3], right[4]),
        sha256_byte_late(right[4], right[5]),
        sha256_byte_late(right[5], right[6]),
        sha256_byte_late(right[6], right[7]),
    ));
    return sha256_compress(state, array<u32, 16>(
        (right[7] << 24u) | 0x800000u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 520u,
    ));
}

// The last byte of a word and the first three of the next.
fn sha256_byte_late(word: u32, next: u32) -> u32 {
    return (word << 24u) | (next >> 8u);
}

// 16 rounds.
fn sha256_rounds(before: Sha256Variables, constants: array<u32, 16>, schedule: array<u32, 16>) -> Sha256Variables {
    var v = before;
    v = sha256_round(v, constants[0] + schedule[0]);
    v = sha256_round(v, constants[1] + schedule[1]);
    v = sha256_round(v, constants[2] + schedule[2]);
    v = sha256_round(v, constants[3] + schedule[3]);
    v = sha256_round(v, constants[4] + schedule[4]);
    v = sha256_round(v, constants[5] + schedule[5]);
    v = sha256_round(v, constants[6] + schedule[6]);
    v = sha256_round(v, constants[7] + schedule[7]);
    v = sha256_round(v, constants[8] + schedule[8]);
    v = sha256_round(v, constants[9] + schedule[9]);
    v = sha256_round(v, constants[10] + schedule[10]);
    v = sha256_round(v, constants[11] + schedule[11]);
    v = sha256_round(v, constants[12] + schedule[12]);
    v = sha256_round(v, constants[13] + schedule[13]);
    v = sha256_round(v, constants[14] + schedule[14]);
    v = sha256_round(v, constants[15] + schedule[15]);
    return v;
}

fn sha256_round(v: Sha256Variables, word: u32) -> Sha256Variables {
    let choice = v.g ^ (v.e & (v.f ^ v.g));
    let majority = (v.a & v.b) | (v.c & (v.a | v.b));
    let sum_1 = sha256_rotate(v.e, 6u) ^ sha256_rotate(v.e, 11u) ^ sha256_rotate(v.e, 25u);
    let sum_0 = sha256_rotate(v.a, 2u) ^ sha256_rotate(v.a, 13u) ^ sha256_rotate(v.a, 22u);
    let t1 = v.h + sum_1 + choice + word;
    return Sha256Variables(t1 + sum_0 + majority, v.a, v.b, v.c, v.d + t1, v.e, v.f, v.g);
}

// The 16 words of the schedule that follow 16.
fn sha256_schedule(before: array<u32, 16>) -> array<u32, 16> {
    var w = before;
    w[0] += sha256_small_0(w[1]) + w[9] + sha256_small_1(w[14]);
    w[1] += sha256_small_0(w[2]) + w[10] + sha256_small_1(w[15]);
    w[2] += sha256_small_0(w[3]) + w[11] + sha256_small_1(w[0]);
    w[3] += sha256_small_0(w[4]) + w[12] + sha256_small_1(w[1]);
    w[4] += sha256_small_0(w[5]) + w[13] + sha256_small_1(w[2]);
    w[5] += sha256_small_0(w[6]) + w[14] + sha256_small_1(w[3]);
    w[6] += sha256_small_0(w[7]) + w[15] + sha256_small_1(w[4]);
    w[7] += sha256_small_0(w[8]) + w[0] + sha256_small_1(w[5]);
    w[8] += sha256_small_0(w[9]) + w[1] + sha256_small_1(w[6]);
    w[9] += sha256_small_0(w[10]) + w[2] + sha256_small_1(w[7]);
    w[10] += sha256_small_0(w[11]) + w[3] + sha256_small_1(w[8]);
    w[11] += sha256_small_0(w[12]) + w[4] + sha256_small_1(w[9]);
    w[12] += sha256_small_0(w[13]) + w[5] + sha256_small_1(w[10]);
    w[13] += sha256_small_0(w[14]) + w[6] + sha256_small_1(w[11]);
    w[14] += sha256_small_0(w[15]) + w[7] + sha256_small_1(w[12]);
    w[15] += sha256_small_0(w[0]) + w[8] + sha256_small_1(w[13]);
    return w;
}

fn sha256_small_0(word: u32) -> u32 {
    return sha256_rotate(word, 7u) ^ sha256_rotate(word, 18u) ^ (word >> 3u);
}

fn sha256_small_1(word: u32) -> u32 {
    return sha256_rotate(word, 17u) ^ sha256_rotate(word, 19u) ^ (word >> 10u);
}

// To the right.
fn sha256_rotate(word: u32, n: u32) -> u32 {
    return (word >> n) | (word << (32u - n));
}
