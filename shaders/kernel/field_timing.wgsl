// What a field operation takes: chains in which each step waits for the one before.

//#include "field/secp256k1"
//#constant WORKGROUP_SIZE
//#constant CHAIN_LENGTH

// Elements of 8 words.
@group(0) @binding(0) var<storage, read> left: array<array<u32, 8>>;
@group(0) @binding(1) var<storage, read> right: array<array<u32, 8>>;
@group(0) @binding(2) var<storage, read_write> result: array<array<u32, 8>>;

// left * right^CHAIN_LENGTH
@compute @workgroup_size(WORKGROUP_SIZE)
fn field_mul_chain(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    let factor = fe_from_words(right[lane]);
    var product = fe_from_words(left[lane]);
    for (var i = 0u; i < CHAIN_LENGTH; i++) {
        product = fe_mul(product, factor);
    }
    result[lane] = fe_to_words(product);
}

// left^(2^CHAIN_LENGTH)
@compute @workgroup_size(WORKGROUP_SIZE)
fn field_sqr_chain(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    var power = fe_from_words(left[lane]);
    for (var i = 0u; i < CHAIN_LENGTH; i++) {
        power = fe_sqr(power);
    }
    result[lane] = fe_to_words(power);
}

// 1 / left: a chain of its own, and the code that every square root is made of.
@compute @workgroup_size(WORKGROUP_SIZE)
fn field_inv_chain(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    result[lane] = fe_to_words(fe_inv(fe_from_words(left[lane])));
}
