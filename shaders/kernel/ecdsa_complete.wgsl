// What `ecdsa_base` does, without exceptional cases, for the lanes whose sum came out with Z = 0; afterwards that means infinity.
// A loop, which groups of lanes without such a one skip. 4 M + 2 S and BASE_WINDOWS 11 M where there is one, so that an attacker who
// makes every lane exceptional costs a seventh more.

//#include "ecdsa/base"
//#include "group/complete"
//#constant WORKGROUP_SIZE

@group(0) @binding(0) var<storage, read> input: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> table: array<vec4<u32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn ecdsa_complete(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= input[0].x {
        return;
    }
    let state = load_state(lane);
    let exceptional = state.reason == 0u && words_is_zero(load_words(SLOT_RESULT + 4u, lane));
    let rounds = select(0u, 1u, exceptional);
    for (var round = 0u; round < rounds; round++) {
        var sum = ge_homogeneous(load_jacobian(SLOT_SUM, lane));
        var digits = base_digits(lane, state);
        for (var i = 0u; i < BASE_WINDOWS; i++) {
            sum = ge_add_complete(sum, base_point(digits));
            digits = base_next(digits);
        }
        store_jacobian(SLOT_RESULT, lane, ge_jacobian(sum));
    }
}
