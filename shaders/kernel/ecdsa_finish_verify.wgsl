// Whether the sum's x is r modulo n: X = r Z^2, or X = (r + n) Z^2 where r + n is below p (SEC 1, 4.1.4, without leaving Jacobian
// coordinates). 2 M + 1 S.

//#include "ecdsa/points"
//#include "seal"
//#constant WORKGROUP_SIZE
//#constant ORDER
//#constant PRIME_MINUS_ORDER
//#constant REASONS
//#constant VERIFY_QUADS

@group(0) @binding(0) var<storage, read> input: array<vec4<u32>>;
// The status, and the seal.
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4<u32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn ecdsa_finish_verify(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    let lanes = input[0].x;
    if lane >= lanes {
        return;
    }
    let at = 1u + lane * VERIFY_QUADS + 2u;
    let r = words_of_quads(input[at], input[at + 1u]);
    let x = load_fe(SLOT_RESULT, lane);
    let z = load_words(SLOT_RESULT + 4u, lane);
    let zz = fe_sqr(fe_from_words(z));
    let same = fe_is_zero(fe_mul_add(fe_from_words(r), zz, fe_neg(x)));
    let wrapped = fe_is_zero(fe_mul_add(fe_from_words(words_add(r, ORDER)), zz, fe_neg(x)));
    let holds = same || (wrapped && words_below(r, PRIME_MINUS_ORDER));
    // The point at infinity has no x.
    let valid = holds && !words_is_zero(z);
    let reason = load_state(lane).reason;
    let status = select(reason, select(REASON_MISMATCH, STATUS_VALID, valid), reason == 0u);
    let stride = (lanes + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE * WORKGROUP_SIZE;
    output[lane] = status;
    output[stride + lane] = seal_add(seal_start(input[0].y, lane), status);
}
