// Scalars of secp256k1, modulo the order n of its group.
//
// Products are Montgomery's: sc_mul(a, b) is a b / R, with R = 2^261 (u64) or 2^260 (u32). Nothing is kept multiplied by R; that the
// factors cancel is said where it is used. Functions written out by Rust were checked against their bounds there.
// Public data only: nothing here hides what it works on.

//#include "words"
//#include "scalar/secp256k1/{arithmetic}"
//#constant ORDER

// The halves of a scalar, k1 + k2 lambda, in two's complement of 160 bits, the least significant word first.
struct GlvHalves {
    k1: array<u32, 5>,
    k2: array<u32, 5>,
}

// R^2 / a for a that is not zero modulo n, below 2^256: a^(n - 2) by Fermat, bit by bit. A kernel holds one multiplication of code
// for it, and shares the result over many lanes. Result: below n.
// 256 squarings, 196 multiplications.
fn sc_inv_mont(a: Sc) -> Sc {
    var power = a;
    // The top bit is one.
    for (var i = 1u; i < 256u; i++) {
        let bit = 255u - i;
        var word = 0u;
        switch bit >> 5u {
            // n - 2: the lowest word of n is above 1.
            case 0u: { word = ORDER[0] - 2u; }
            case 1u: { word = ORDER[1]; }
            case 2u: { word = ORDER[2]; }
            case 3u: { word = ORDER[3]; }
            case 4u: { word = ORDER[4]; }
            case 5u: { word = ORDER[5]; }
            case 6u: { word = ORDER[6]; }
            default: { word = ORDER[7]; }
        }
        // One squaring, and a multiplication where the bit is set.
        let products = 1u + ((word >> (bit & 31u)) & 1u);
        for (var j = 0u; j < products; j++) {
            power = sc_mul(power, sc_select(power, a, j == 1u));
        }
    }
    return sc_reduce(power);
}
