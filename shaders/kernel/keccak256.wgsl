// Keccak-256 of messages, one a lane.

//#include "hash/digest"
//#include "hash/keccak256"
//#constant WORKGROUP_SIZE
//#constant HEADER_WORDS
//#constant HASH_MAX_BLOCKS

// Behind the header three words a message, those with most blocks first, so that neighbours end together: where its blocks begin,
// in words from the header's first; how many there are, at least one; its lane. Then the blocks, padded, of 34 words, the first
// byte lowest.
@group(0) @binding(0) var<storage, read> input: array<u32>;
// The digest's 8 words, the first byte lowest, and the seal.
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

const BLOCK_WORDS: u32 = 34u;

// Writes a message's digest, and the seal, to its lane.
fn answer(message: u32, digest: array<u32, 8>) {
    let lanes = input[0];
    let lane = input[HEADER_WORDS + 3u * message + 2u];
    if lane >= lanes {
        return;
    }
    let stride = (lanes + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE * WORKGROUP_SIZE;
    output[lane] = digest[0];
    output[stride + lane] = digest[1];
    output[2u * stride + lane] = digest[2];
    output[3u * stride + lane] = digest[3];
    output[4u * stride + lane] = digest[4];
    output[5u * stride + lane] = digest[5];
    output[6u * stride + lane] = digest[6];
    output[7u * stride + lane] = digest[7];
    output[8u * stride + lane] = seal_add_digest(seal_start(input[1], lane), digest);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn keccak256(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= input[0] {
        return;
    }
    var begin = input[HEADER_WORDS + 3u * id.x];
    let blocks = input[HEADER_WORDS + 3u * id.x + 1u];
    let last = arrayLength(&input) - BLOCK_WORDS;
    var a = array<vec2<u32>, 25>();
    for (var block = 0u; block < HASH_MAX_BLOCKS; block++) {
        if block >= blocks {
            break;
        }
        begin = min(begin, last);
        a[0] ^= vec2(input[begin], input[begin + 1u]);
        a[1] ^= vec2(input[begin + 2u], input[begin + 3u]);
        a[2] ^= vec2(input[begin + 4u], input[begin + 5u]);
        a[3] ^= vec2(input[begin + 6u], input[begin + 7u]);
        a[4] ^= vec2(input[begin + 8u], input[begin + 9u]);
        a[5] ^= vec2(input[begin + 10u], input[begin + 11u]);
        a[6] ^= vec2(input[begin + 12u], input[begin + 13u]);
        a[7] ^= vec2(input[begin + 14u], input[begin + 15u]);
        a[8] ^= vec2(input[begin + 16u], input[begin + 17u]);
        a[9] ^= vec2(input[begin + 18u], input[begin + 19u]);
        a[10] ^= vec2(input[begin + 20u], input[begin + 21u]);
        a[11] ^= vec2(input[begin + 22u], input[begin + 23u]);
        a[12] ^= vec2(input[begin + 24u], input[begin + 25u]);
        a[13] ^= vec2(input[begin + 26u], input[begin + 27u]);
        a[14] ^= vec2(input[begin + 28u], input[begin + 29u]);
        a[15] ^= vec2(input[begin + 30u], input[begin + 31u]);
        a[16] ^= vec2(input[begin + 32u], input[begin + 33u]);
        a = keccak_f1600(a);
        begin += BLOCK_WORDS;
    }
    answer(id.x, keccak_digest(a));
}
