// The first step: range checks, and the two scalars of the sum, u1 G + u2 P, ready to be used.
//
// An invocation answers for SCALAR_RUN lanes, which share one inversion (Montgomery's trick, Math. Comp. 48, 1987). A lane that fails
// a check goes on with scalars that do no harm; its reason stands in its state, and no later step takes it back.

//#include "ecdsa/lane"
//#include "ecdsa/digits"
//#constant WORKGROUP_SIZE
//#constant SCALAR_RUN
//#constant HALF_ORDER
//#constant PRIME
//#constant PRIME_MINUS_ORDER
//#constant REASONS
//#constant RECOVER_QUADS
//#constant VERIFY_QUADS

@group(0) @binding(0) var<storage, read> input: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> table: array<vec4<u32>>;

// A lane's input: digest, r and s of two quads each; then for `recover` one of flags, and for `verify` x and y of the key and one of
// flags. Numbers have their least significant word first.
fn input_words(at: u32) -> Words {
    return words_of_quads(input[at], input[at + 1u]);
}

// The first reason that r and s give, or zero.
fn check_signature(r: Words, s: Words, requires_low_s: bool) -> u32 {
    var reason = 0u;
    reason = select(reason, REASON_HIGH_S, requires_low_s && words_below(HALF_ORDER, s));
    reason = select(reason, REASON_S_OUT_OF_RANGE, !words_below(s, ORDER));
    reason = select(reason, REASON_S_IS_ZERO, words_is_zero(s));
    reason = select(reason, REASON_R_OUT_OF_RANGE, !words_below(r, ORDER));
    return select(reason, REASON_R_IS_ZERO, words_is_zero(r));
}

fn denominator_or_one(denominator: Words, reason: u32) -> Sc {
    return sc_from_words(words_select(denominator, words_small(1u), reason != 0u));
}

// The key is (s R - z G) / r. Flags: the recovery id, the largest one allowed, whether s must be low.
@compute @workgroup_size(WORKGROUP_SIZE)
fn ecdsa_prepare_recover(@builtin(global_invocation_id) id: vec3<u32>) {
    let lanes = input[0].x;
    let invocations = (lanes + SCALAR_RUN - 1u) / SCALAR_RUN;
    if id.x >= invocations {
        return;
    }
    var product = sc_from_words(words_small(1u));
    for (var k = 0u; k < SCALAR_RUN; k++) {
        let lane = id.x + k * invocations;
        if lane < lanes {
            let at = 1u + lane * RECOVER_QUADS;
            let r = input_words(at + 2u);
            let s = input_words(at + 4u);
            let flags = input[at + 6u];
            let wraps = (flags.x & 2u) != 0u;
            var reason = check_signature(r, s, flags.z != 0u);
            let past_prime = wraps && !words_below(r, PRIME_MINUS_ORDER);
            reason = select(reason, REASON_R_PLUS_N_OUT_OF_RANGE, reason == 0u && past_prime);
            reason = select(reason, REASON_RECOVERY_ID, flags.x > flags.y);
            let odd = select(0u, FLAG_ODD, (flags.x & 1u) != 0u);
            store_state(lane, State(reason, odd, REASON_R_NOT_ON_CURVE, 0u));
            store_words(SLOT_POINT, lane, words_select(r, words_add(r, ORDER), wraps));
            store_words(SLOT_PREFIX, lane, sc_pack(product));
            product = sc_reduce(sc_mul(product, denominator_or_one(r, reason)));
        }
    }
    share_run(id.x, invocations, product, RECOVER_QUADS, 2u, 4u, FLAG_BASE_NEGATIVE);
}

// The sum is (z G + r Q) / s. Flags: whether the key is uncompressed, its prefix if not, whether s must be low.
@compute @workgroup_size(WORKGROUP_SIZE)
fn ecdsa_prepare_verify(@builtin(global_invocation_id) id: vec3<u32>) {
    let lanes = input[0].x;
    let invocations = (lanes + SCALAR_RUN - 1u) / SCALAR_RUN;
    if id.x >= invocations {
        return;
    }
    var product = sc_from_words(words_small(1u));
    for (var k = 0u; k < SCALAR_RUN; k++) {
        let lane = id.x + k * invocations;
        if lane < lanes {
            let at = 1u + lane * VERIFY_QUADS;
            let s = input_words(at + 4u);
            let x = input_words(at + 6u);
            let y = input_words(at + 8u);
            let flags = input[at + 10u];
            var reason = check_signature(input_words(at + 2u), s, flags.z != 0u);
            let encoded = words_below(x, PRIME)
                && select(flags.y == 2u || flags.y == 3u, words_below(y, PRIME), flags.x != 0u);
            reason = select(REASON_KEY_ENCODING, reason, encoded);
            let odd = select(0u, FLAG_ODD, (flags.y & 1u) != 0u);
            let key = select(odd, FLAG_Y_GIVEN, flags.x != 0u);
            store_state(lane, State(reason, key, REASON_KEY_NOT_ON_CURVE, 0u));
            store_words(SLOT_POINT, lane, x);
            store_words(SLOT_POINT + 2u, lane, y);
            store_words(SLOT_PREFIX, lane, sc_pack(product));
            product = sc_reduce(sc_mul(product, denominator_or_one(s, reason)));
        }
    }
    share_run(id.x, invocations, product, VERIFY_QUADS, 4u, 2u, 0u);
}

// Gives the lanes of a run, the last first, their shares of its one inversion. product: of all denominators by `sc_mul`; denominator,
// factor: where in a lane's input they stand.
fn share_run(first: u32, invocations: u32, product: Sc, quads: u32, denominator: u32, factor: u32, negative: u32) {
    // R / product.
    var inverse = sc_mul(sc_inv_mont(product), sc_from_words(words_small(1u)));
    for (var k = 0u; k < SCALAR_RUN; k++) {
        let lane = first + (SCALAR_RUN - 1u - k) * invocations;
        if lane < input[0].x {
            let at = 1u + lane * quads;
            let state = load_state(lane);
            let numerator = words_select(input_words(at + factor), words_small(1u), state.reason != 0u);
            let divisor = denominator_or_one(input_words(at + denominator), state.reason);
            inverse = share(lane, inverse, divisor, input_words(at), numerator, negative, state);
        }
    }
}

// A lane's share of the run's inverse: with P the product before it and d its denominator, `inverse` is R / (P d / R), so that one
// product with P makes it R / d, and one with d the inverse for the lanes before. A product with R / d is a quotient by d.
// digest, factor: the numerators of u1 and u2.
fn share(lane: u32, inverse: Sc, denominator: Sc, digest: Words, factor: Words, negative: u32, state: State) -> Sc {
    let own = sc_reduce(sc_mul(inverse, sc_from_words(load_words(SLOT_PREFIX, lane))));
    let u1 = sc_pack(sc_reduce(sc_mul(own, sc_from_words(digest))));
    let u2 = sc_reduce(sc_mul(own, sc_from_words(factor)));
    // n is odd: of u1 and n - u1 one is odd, as the digits of the fixed base need it. Zero is n, and n G is at infinity.
    let even = (u1[0] & 1u) == 0u;
    store_words(SLOT_BASE, lane, words_select(u1, words_sub(ORDER, u1), even));
    let flags = state.flags | (negative ^ select(0u, FLAG_BASE_NEGATIVE, even));
    store_state(lane, State(state.reason, flags, state.no_point, store_digits(lane, glv_split(u2))));
    return sc_reduce(sc_mul(inverse, denominator));
}
