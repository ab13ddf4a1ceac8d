// u2 P + u1 G: the fixed base's points, added to what there is. Additions may be exceptional, by the choice of whoever signed; then Z is
// zero at the end, and `ecdsa_complete` makes them again.
// BASE_WINDOWS (8 M + 3 S).

//#include "ecdsa/base"
//#constant WORKGROUP_SIZE

@group(0) @binding(0) var<storage, read> input: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> table: array<vec4<u32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn ecdsa_base(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= input[0].x {
        return;
    }
    var sum = load_jacobian(SLOT_SUM, lane);
    var digits = base_digits(lane, load_state(lane));
    for (var i = 0u; i < BASE_WINDOWS; i++) {
        sum = ge_add_affine(sum, base_point(digits));
        digits = base_next(digits);
    }
    store_jacobian(SLOT_RESULT, lane, sum);
}
