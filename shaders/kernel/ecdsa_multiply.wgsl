// u2 P, digit by digit from the most significant one on that is not zero.
//
// No addition is exceptional: what has been summed is a multiple of 8 of P by an Eisenstein integer of norm below n, and a digit is
// not zero and shorter than 8.
// At most 42 (8 M + 3 S + 3 (3 M + 4 S)) + 1 M.

//#include "ecdsa/points"
//#constant WORKGROUP_SIZE
//#constant TABLE_ENTRY_QUADS
//#constant DIGITS
//#constant DIGIT_ZERO
//#constant DIGIT_NEGATIVE

@group(0) @binding(0) var<storage, read> input: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4<u32>>;

fn digit(lane: u32, index: u32) -> u32 {
    return (scratch[slot_at(SLOT_DIGITS + (index >> 4u), lane)][(index >> 2u) & 3u] >> (8u * (index & 3u))) & 0xffu;
}

// The point of a digit that is not zero. y: magnitude at most 2.
fn digit_point(lane: u32, code: u32) -> Affine {
    let slot = SLOT_TABLE + ((code >> 3u) & 0xfu) * TABLE_ENTRY_QUADS;
    let x = load_fe(slot + 2u * (code & 3u), lane);
    let y = load_fe(slot + 6u, lane);
    return Affine(x, fe_select(y, fe_neg(y), (code & DIGIT_NEGATIVE) != 0u));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn ecdsa_multiply(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= input[0].x {
        return;
    }
    let top = min(load_state(lane).top, DIGITS - 1u);
    let digits = top + 1u;
    let first = digit_point(lane, digit(lane, top));
    var sum = Jacobian(first.x, fe_weak(first.y), fe_one());
    for (var i = 1u; i < digits; i++) {
        for (var j = 0u; j < 3u; j++) {
            sum = ge_double(sum);
        }
        let code = digit(lane, top - i);
        let next = ge_add_affine(sum, digit_point(lane, code));
        sum = ge_select(next, sum, code == DIGIT_ZERO);
    }
    // Back to secp256k1.
    store_fe(SLOT_SUM + 4u, lane, fe_mul(sum.z, load_fe(SLOT_SUM + 4u, lane)));
    store_fe(SLOT_SUM, lane, sum.x);
    store_fe(SLOT_SUM + 2u, lane, sum.y);
}
