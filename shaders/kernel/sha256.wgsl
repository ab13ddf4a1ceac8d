// SHA-256 of messages, one a lane, and SHA-256 of their SHA-256.

//#include "hash/digest"
//#include "hash/sha256"
//#constant WORKGROUP_SIZE
//#constant HEADER_WORDS
//#constant HASH_MAX_BLOCKS

// Behind the header three words a message, those with most blocks first, so that neighbours end together: where its blocks begin,
// in words from the header's first; how many there are, at least one; its lane. Then the blocks, padded, of 16 words, the first
// byte highest.
@group(0) @binding(0) var<storage, read> input: array<u32>;
// The digest's 8 words, the first byte highest, and the seal.
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

const BLOCK_WORDS: u32 = 16u;

fn message_digest(message: u32) -> array<u32, 8> {
    var begin = input[HEADER_WORDS + 3u * message];
    let blocks = input[HEADER_WORDS + 3u * message + 1u];
    let last = arrayLength(&input) - BLOCK_WORDS;
    var state = SHA256_INITIAL;
    for (var block = 0u; block < HASH_MAX_BLOCKS; block++) {
        if block >= blocks {
            break;
        }
        begin = min(begin, last);
        state = sha256_compress(state, array<u32, 16>(
            input[begin + 0u], input[begin + 1u], input[begin + 2u], input[begin + 3u],
            input[begin + 4u], input[begin + 5u], input[begin + 6u], input[begin + 7u],
            input[begin + 8u], input[begin + 9u], input[begin + 10u], input[begin + 11u],
            input[begin + 12u], input[begin + 13u], input[begin + 14u], input[begin + 15u],
        ));
        begin += BLOCK_WORDS;
    }
    return state;
}

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
fn sha256(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= input[0] {
        return;
    }
    answer(id.x, message_digest(id.x));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn sha256d(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= input[0] {
        return;
    }
    answer(id.x, sha256_of_digest(message_digest(id.x)));
}
