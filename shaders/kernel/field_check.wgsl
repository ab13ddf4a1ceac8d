// One field operation a lane, for known answers: what an adapter must get right before it serves.

//#include "field/secp256k1"
//#constant WORKGROUP_SIZE
//#constant SMALL_FACTOR

// Elements of 8 words, any 256 bits.
@group(0) @binding(0) var<storage, read> left: array<array<u32, 8>>;
@group(0) @binding(1) var<storage, read> right: array<array<u32, 8>>;
// A canonical element each; or 1 for yes and 2 for no in the first word.
@group(0) @binding(2) var<storage, read_write> result: array<array<u32, 8>>;

fn operand_a(lane: u32) -> Fe {
    return fe_from_words(left[lane]);
}

fn operand_b(lane: u32) -> Fe {
    return fe_from_words(right[lane]);
}

fn answer(yes: bool) -> array<u32, 8> {
    return array<u32, 8>(select(2u, 1u, yes), 0u, 0u, 0u, 0u, 0u, 0u, 0u);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn field_add(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    result[lane] = fe_to_words(fe_add(operand_a(lane), operand_b(lane)));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn field_sub(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    result[lane] = fe_to_words(fe_sub(operand_a(lane), operand_b(lane)));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn field_neg(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    result[lane] = fe_to_words(fe_neg(operand_a(lane)));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn field_half(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    result[lane] = fe_to_words(fe_half(operand_a(lane)));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn field_mul(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    result[lane] = fe_to_words(fe_mul(operand_a(lane), operand_b(lane)));
}

// Seven times a, at the largest magnitude, times the largest factor.
@compute @workgroup_size(WORKGROUP_SIZE)
fn field_mul_small(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    let a = operand_a(lane);
    let double = fe_add(a, a);
    let seven = fe_add(fe_add(double, double), fe_add(double, a));
    result[lane] = fe_to_words(fe_mul_small(seven, SMALL_FACTOR));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn field_sqr(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    result[lane] = fe_to_words(fe_sqr(operand_a(lane)));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn field_inv(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    result[lane] = fe_to_words(fe_inv(operand_a(lane)));
}

// The root if there is one; p, which no element is, if not.
@compute @workgroup_size(WORKGROUP_SIZE)
fn field_sqrt(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    let root = fe_sqrt(operand_a(lane));
    let none = array<u32, 8>(0xfffffc2fu, 0xfffffffeu, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u);
    let found = fe_to_words(root.root);
    for (var i = 0u; i < 8u; i++) {
        result[lane][i] = select(none[i], found[i], root.exists);
    }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn field_equal(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    result[lane] = answer(fe_equal(operand_a(lane), operand_b(lane)));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn field_is_zero(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    result[lane] = answer(fe_is_zero(operand_a(lane)));
}

// (3b)(a - b)/2 + ((a - b) - b): each function at the largest magnitudes it takes.
@compute @workgroup_size(WORKGROUP_SIZE)
fn field_magnitudes(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= arrayLength(&result) {
        return;
    }
    let a = operand_a(lane);
    let b = operand_b(lane);
    let difference = fe_sub(a, b);
    let triple = fe_add(fe_add(b, b), b);
    let product = fe_mul(triple, fe_weak(fe_half(difference)));
    let rest = fe_sub(difference, b);
    let six = fe_add(rest, product);
    let halves = fe_half(six);
    let seven = fe_add(halves, fe_add(fe_weak(six), fe_neg(fe_weak(halves))));
    result[lane] = fe_to_words(seven);
}
