// Keccak-256 of messages, one a lane.

//#include "hash/keccak256"
//#include "seal"
//#constant WORKGROUP_SIZE
//#constant HEADER_WORDS
//#constant HASH_MAX_BLOCKS

// Behind the header two words a lane: where its blocks begin, from the header's first word, and how many there are, at least one.
// Then the blocks, padded, of 34 words as they stand in memory, the first byte lowest.
@group(0) @binding(0) var<storage, read> input: array<u32>;
// 1, the digest's 8 words as they stand in memory, and the tag.
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

const BLOCK_WORDS: u32 = 34u;

@compute @workgroup_size(WORKGROUP_SIZE)
fn keccak256(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let lanes = input[0];
    if lane >= lanes {
        return;
    }
    var at = input[HEADER_WORDS + 2u * lane];
    let blocks = input[HEADER_WORDS + 2u * lane + 1u];
    let last = arrayLength(&input) - BLOCK_WORDS;
    var sum = 0u;
    var a = array<vec2<u32>, 25>();
    for (var block = 0u; block < HASH_MAX_BLOCKS; block++) {
        if block >= blocks {
            break;
        }
        let from_word = min(at, last);
        let w0 = vec2(input[from_word + 0u], input[from_word + 1u]);
        a[0] ^= w0;
        sum += w0.x + w0.y;
        let w1 = vec2(input[from_word + 2u], input[from_word + 3u]);
        a[1] ^= w1;
        sum += w1.x + w1.y;
        let w2 = vec2(input[from_word + 4u], input[from_word + 5u]);
        a[2] ^= w2;
        sum += w2.x + w2.y;
        let w3 = vec2(input[from_word + 6u], input[from_word + 7u]);
        a[3] ^= w3;
        sum += w3.x + w3.y;
        let w4 = vec2(input[from_word + 8u], input[from_word + 9u]);
        a[4] ^= w4;
        sum += w4.x + w4.y;
        let w5 = vec2(input[from_word + 10u], input[from_word + 11u]);
        a[5] ^= w5;
        sum += w5.x + w5.y;
        let w6 = vec2(input[from_word + 12u], input[from_word + 13u]);
        a[6] ^= w6;
        sum += w6.x + w6.y;
        let w7 = vec2(input[from_word + 14u], input[from_word + 15u]);
        a[7] ^= w7;
        sum += w7.x + w7.y;
        let w8 = vec2(input[from_word + 16u], input[from_word + 17u]);
        a[8] ^= w8;
        sum += w8.x + w8.y;
        let w9 = vec2(input[from_word + 18u], input[from_word + 19u]);
        a[9] ^= w9;
        sum += w9.x + w9.y;
        let w10 = vec2(input[from_word + 20u], input[from_word + 21u]);
        a[10] ^= w10;
        sum += w10.x + w10.y;
        let w11 = vec2(input[from_word + 22u], input[from_word + 23u]);
        a[11] ^= w11;
        sum += w11.x + w11.y;
        let w12 = vec2(input[from_word + 24u], input[from_word + 25u]);
        a[12] ^= w12;
        sum += w12.x + w12.y;
        let w13 = vec2(input[from_word + 26u], input[from_word + 27u]);
        a[13] ^= w13;
        sum += w13.x + w13.y;
        let w14 = vec2(input[from_word + 28u], input[from_word + 29u]);
        a[14] ^= w14;
        sum += w14.x + w14.y;
        let w15 = vec2(input[from_word + 30u], input[from_word + 31u]);
        a[15] ^= w15;
        sum += w15.x + w15.y;
        let w16 = vec2(input[from_word + 32u], input[from_word + 33u]);
        a[16] ^= w16;
        sum += w16.x + w16.y;
        a = keccak_f1600(a);
        at += BLOCK_WORDS;
    }
    let digest = keccak_digest(a);
    let stride = (lanes + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE * WORKGROUP_SIZE;
    var seal = seal_start(input[1], lane);
    for (var i = 0u; i < 8u; i++) { }
}
