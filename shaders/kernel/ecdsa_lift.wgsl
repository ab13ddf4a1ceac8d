// The point that an x coordinate and the parity of y name; or the check that a point which is given is on the curve.
// 1 M + 2 S, and for a root 15 M + 253 S more. Lanes without a point go on with the generator.

//#include "ecdsa/points"
//#constant WORKGROUP_SIZE
//#constant GENERATOR

@group(0) @binding(0) var<storage, read> input: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4<u32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn ecdsa_lift(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= input[0].x {
        return;
    }
    var state = load_state(lane);
    let x = load_words(SLOT_POINT, lane);
    let square = ge_curve(fe_from_words(x));
    var y = load_fe(SLOT_POINT + 2u, lane);
    // A loop, which groups of lanes that need no root skip.
    let roots = select(1u, 0u, (state.flags & FLAG_Y_GIVEN) != 0u);
    for (var i = 0u; i < roots; i++) {
        y = fe_power(square, true);
    }
    let exists = fe_equal(fe_sqr(y), square);
    y = fe_normalize(y);
    let turn = roots != 0u && fe_is_odd(y) != ((state.flags & FLAG_ODD) != 0u);
    let root = fe_to_words(fe_select(y, fe_neg(y), turn));
    state.reason = select(state.reason, state.no_point, state.reason == 0u && !exists);
    store_state(lane, state);
    store_words(SLOT_POINT, lane, words_select(GENERATOR_X, x, exists));
    store_words(SLOT_POINT + 2u, lane, words_select(GENERATOR_Y, root, exists));
}
