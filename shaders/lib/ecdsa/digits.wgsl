// A scalar as digits from the Eisenstein integers.
//
// The ring Z[w], w being a cube root of one, acts on the group: w P is (beta x, y). It has six units, +-1, +-w and +-w^2, and they
// cost nothing to multiply with. So a scalar k1 + k2 w is written in base 8 with digits a + b w, one of each class modulo 8 and each
// as short as can be, and a table has the 11 points that, up to units, are all digits but zero.

//#include "ecdsa/lane"
//#include "scalar/secp256k1"
//#constant DIGIT_ZERO
//#constant DIGIT_WORDS

// Writes DIGITS digits, four a word, the least significant first: 8 bits with the place in the table from bit 3 on, whether the point
// is negated at bit 2, and the power of w in bits 0 and 1; or DIGIT_ZERO. Result: the place of the most significant digit that is not
// zero, there being one for a scalar that is not zero.
//
// `table` has for each class modulo 8, at a + 8 b: the digit, and in bits 8 and 9 what a and b carry. Digits are no longer than
// sqrt(19), and `glv_split` leaves its halves in a rhombus about zero, so that after 42 digits what is left is within 0.63 of that rhombus
// by 8^42, and thereby the last digit: `gpu/ecdsa/digits.rs` goes through what can be left.
fn store_digits(lane: u32, halves: GlvHalves) -> u32 {
    var a = halves.k1;
    var b = halves.k2;
    var carry_a = 0u;
    var carry_b = 0u;
    var top = 0u;
    for (var word = 0u; word < DIGIT_WORDS; word++) {
        var codes = 0u;
        for (var i = 0u; i < 4u; i++) {
            let digit_a = (a[0] & 7u) + carry_a;
            let digit_b = (b[0] & 7u) + carry_b;
            let residue = (digit_a & 7u) | ((digit_b & 7u) << 3u);
            let entry = table[residue >> 2u][residue & 3u];
            let code = entry & 0xffu;
            codes |= code << (8u * i);
            top = select(4u * word + i, top, code == DIGIT_ZERO);
            carry_a = (digit_a >> 3u) + ((entry >> 8u) & 1u);
            carry_b = (digit_b >> 3u) + ((entry >> 9u) & 1u);
            a = shift_window(a);
            b = shift_window(b);
        }
        scratch[slot_at(SLOT_DIGITS + (word >> 2u), lane)][word & 3u] = codes;
    }
    return top;
}

// a / 8, rounded down; a is in two's complement.
fn shift_window(a: array<u32, 5>) -> array<u32, 5> {
    return array<u32, 5>(
        (a[0] >> 3u) | (a[1] << 29u),
        (a[1] >> 3u) | (a[2] << 29u),
        (a[2] >> 3u) | (a[3] << 29u),
        (a[3] >> 3u) | (a[4] << 29u),
        bitcast<u32>(bitcast<i32>(a[4]) >> 3u),
    );
}
