// The sum in affine coordinates, as a public key and its address. An invocation answers for FIELD_RUN lanes, which share one
// inversion (Montgomery's trick, Math. Comp. 48, 1987). 6 M + 1 S a lane, 15 M + 255 S a run.

//#include "ecdsa/points"
//#include "hash/keccak256"
//#include "seal"
//#constant WORKGROUP_SIZE
//#constant FIELD_RUN
//#constant REASONS

@group(0) @binding(0) var<storage, read> input: array<vec4<u32>>;
// The status; x and y, 8 words each, the least significant first; 5 words of the address as they stand in memory; the seal.
// All but the status are zero where there is no key.
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4<u32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn ecdsa_finish_recover(@builtin(global_invocation_id) id: vec3<u32>) {
    let lanes = input[0].x;
    let invocations = (lanes + FIELD_RUN - 1u) / FIELD_RUN;
    if id.x >= invocations {
        return;
    }
    var product = fe_one();
    for (var k = 0u; k < FIELD_RUN; k++) {
        let lane = id.x + k * invocations;
        if lane < lanes {
            store_fe(SLOT_PREFIX, lane, product);
            product = fe_mul(product, fe_from_words(z_or_one(lane)));
        }
    }
    var inverse = fe_inv(product);
    for (var k = 0u; k < FIELD_RUN; k++) {
        let lane = id.x + (FIELD_RUN - 1u - k) * invocations;
        if lane < lanes {
            let z = fe_mul(inverse, load_fe(SLOT_PREFIX, lane));
            inverse = fe_mul(inverse, fe_from_words(z_or_one(lane)));
            let zz = fe_sqr(z);
            let x = fe_to_words(fe_mul(load_fe(SLOT_RESULT, lane), zz));
            let y = fe_to_words(fe_mul(load_fe(SLOT_RESULT + 2u, lane), fe_mul(zz, z)));
            let infinite = words_is_zero(load_words(SLOT_RESULT + 4u, lane));
            let reason = load_state(lane).reason;
            let status = select(reason, select(STATUS_VALID, REASON_KEY_AT_INFINITY, infinite), reason == 0u);
            answer(lane, lanes, status, x, y);
        }
    }
}

fn z_or_one(lane: u32) -> Words {
    let z = load_words(SLOT_RESULT + 4u, lane);
    return words_select(z, words_small(1u), words_is_zero(z));
}

fn answer(lane: u32, lanes: u32, status: u32, x: Words, y: Words) {
    let valid = status == STATUS_VALID;
    let none = words_small(0u);
    let digest = keccak256_of_point(x, y);
    // The last 20 of its bytes.
    let address = words_select(none, digest, valid);
    let stride = (lanes + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE * WORKGROUP_SIZE;
    output[lane] = status;
    var at = lane + stride;
    var seal = seal_add(seal_start(input[0].y, lane), status);
    seal = put_words(&at, stride, seal, words_select(none, x, valid));
    seal = put_words(&at, stride, seal, words_select(none, y, valid));
    seal = put(&at, stride, seal, address[3]);
    seal = put(&at, stride, seal, address[4]);
    seal = put(&at, stride, seal, address[5]);
    seal = put(&at, stride, seal, address[6]);
    seal = put(&at, stride, seal, address[7]);
    output[at] = seal;
}

fn put_words(at: ptr<function, u32>, stride: u32, start: u32, words: Words) -> u32 {
    var seal = put(at, stride, start, words[0]);
    seal = put(at, stride, seal, words[1]);
    seal = put(at, stride, seal, words[2]);
    seal = put(at, stride, seal, words[3]);
    seal = put(at, stride, seal, words[4]);
    seal = put(at, stride, seal, words[5]);
    seal = put(at, stride, seal, words[6]);
    return put(at, stride, seal, words[7]);
}

// Writes a word, and gives the seal with it.
fn put(at: ptr<function, u32>, stride: u32, seal: u32, word: u32) -> u32 {
    output[*at] = word;
    *at += stride;
    return seal_add(seal, word);
}
