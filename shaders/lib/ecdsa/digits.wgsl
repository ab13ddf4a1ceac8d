// A scalar as digits from the Eisenstein integers.
//
// The ring Z[w], w being a cube root of one, acts on the group: w P is (beta x, y). It has six units, +-1, +-w and +-w^2, and they
// cost nothing to multiply with. So a scalar k1 + k2 w is written in base 8 with digits a + b w, one of each class modulo 8 and each
// as short as can be, and a table has the 11 points that, up to units, are all digits but zero.

//#include "ecdsa/lane"
//#include "scalar/secp256k1"
//#constant DIGIT_ZERO
//#constant DIGIT_NEGATIVE
//#constant DIGIT_WORDS

// Writes 43 digits, four a word, the least significant first: 8 bits with the place in the table from bit 3 on, whether the point is
// negated at bit 2, and the power of w in bits 0 and 1; or DIGIT_ZERO.
//
// `table` has for each class modulo 8, a + 8 b: the digit, and in bits 8 and 9 what a and b carry. By 42 digits the scalar has shrunk to
// |k| <= 4.09: |k1 + k2 w| is at most sqrt(3)/2 sqrt(n), the digits are no longer than sqrt(19). Numbers that short are digits
// themselves, or minus digits where those of norm 16 share a class; then a digit is left over, and the last one is negated instead.
fn store_digits(lane: u32, halves: GlvHalves) {
    var a = halves.k1;
    var b = halves.k2;
    var carry_a = 0u;
    var carry_b = 0u;
    var codes = 0u;
    for (var word = 0u; word < DIGIT_WORDS; word++) {
        codes = 0u;
        for (var i = 0u; i < 4u; i++) {
            let digit_a = (a[0] & 7u) + carry_a;
            let digit_b = (b[0] & 7u) + carry_b;
            let residue = (digit_a & 7u) | ((digit_b & 7u) << 3u);
            let entry = table[residue >> 2u][residue & 3u];
            codes |= (entry & 0xffu) << (8u * i);
            carry_a = (digit_a >> 3u) + ((entry >> 8u) & 1u);
            carry_b = (digit_b >> 3u) + ((entry >> 9u) & 1u);
            a = shift_window(a);
            b = shift_window(b);
        }
        scratch[slot_at(SLOT_DIGITS + (word >> 2u), lane)][word & 3u] = codes;
    }
    if (codes >> 24u) != DIGIT_ZERO {
        let last = DIGIT_WORDS - 1u;
        scratch[slot_at(SLOT_DIGITS + (last >> 2u), lane)][last & 3u] = codes ^ (DIGIT_NEGATIVE << 16u);
    }
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
