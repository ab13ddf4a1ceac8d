// The base field of secp256k1, modulo p = 2^256 - 2^32 - 977.
//
// An element is kept loosely: its magnitude m says that its limbs are at most m times a unit, and its value, below m + 1 times
// 2^256, may be p or more. Each function states the magnitudes that it takes and gives; nothing checks them here. Functions
// written out by Rust were checked against their bounds there. Normalised means canonical limbs and a value below p.
// Public data only: nothing here hides what it works on.

//#include "field/secp256k1/{arithmetic}"

struct FeRoot {
    root: Fe,
    exists: bool,
}

// a: magnitude at most 7; result: the canonical number, the least significant word first.
fn fe_to_words(a: Fe) -> array<u32, 8> {
    return fe_pack(fe_normalize(a));
}

// a: magnitude at most 7.
fn fe_is_zero(a: Fe) -> bool {
    return fe_has_zero_limbs(fe_normalize(a));
}

// a: magnitude at most 5; b: magnitude 1.
fn fe_equal(a: Fe, b: Fe) -> bool {
    return fe_is_zero(fe_sub(a, b));
}

// a: normalised.
fn fe_is_odd(a: Fe) -> bool {
    return (a.limbs[0] & 1u) == 1u;
}

// a: magnitude 1; result: magnitude 1, and zero for zero.
fn fe_inv(a: Fe) -> Fe {
    return fe_power(a, false);
}

// a: magnitude 1; root: magnitude 1, a square root of a if there is one and of -a if not.
fn fe_sqrt(a: Fe) -> FeRoot {
    let root = fe_power(a, true);
    return FeRoot(root, fe_equal(fe_sqr(root), a));
}

// a^((p + 1) / 4) or a^(p - 2): a square root, p being 3 modulo 4, or the inverse, by Fermat.
//
// Both exponents are 223 ones, a zero, 22 ones and a tail, so that both start by way of x_n = a^(2^n - 1) for n = 2, 3, 6, 9, 11,
// 22, 44, 88, 176, 220, 223. Each step squares and multiplies once; in a loop, so that a kernel holds one squaring and one
// multiplication of code. 255 or 256 squarings, 15 multiplications.
//
// a: magnitude 1; result: magnitude 1.
fn fe_power(a: Fe, root: bool) -> Fe {
    var x2 = a;
    var x3 = a;
    var x22 = a;
    var x44 = a;
    var power = a;
    for (var step = 0u; step < 15u; step++) {
        var squarings = 0u;
        var factor = power;
        switch step {
            case 0u: { squarings = 1u; }
            case 1u: { squarings = 1u; factor = a; }
            case 2u, 3u, 10u: { squarings = 3u; factor = x3; }
            case 4u: { squarings = 2u; factor = x2; }
            case 5u: { squarings = 11u; }
            case 6u: { squarings = 22u; }
            case 7u: { squarings = 44u; }
            case 8u: { squarings = 88u; }
            case 9u: { squarings = 44u; factor = x44; }
            case 11u: { squarings = 23u; factor = x22; }
            case 12u: {
                squarings = select(5u, 6u, root);
                factor = fe_select(a, x2, root);
            }
            case 13u: {
                squarings = select(3u, 2u, root);
                factor = fe_select(x2, fe_one(), root);
            }
            default: {
                squarings = select(2u, 0u, root);
                factor = fe_select(a, fe_one(), root);
            }
        }
        // At most 88.
        let count = squarings;
        for (var i = 0u; i < count; i++) {
            power = fe_sqr(power);
        }
        power = fe_mul(power, factor);
        switch step {
            case 0u: { x2 = power; }
            case 1u: { x3 = power; }
            case 5u: { x22 = power; }
            case 6u: { x44 = power; }
            default: {}
        }
    }
    return power;
}

fn fe_one() -> Fe {
    return fe_from_words(array<u32, 8>(1u, 0u, 0u, 0u, 0u, 0u, 0u, 0u));
}
