// The fixed base's points, in `table`, which the kernel binds: for each window of the scalar the odd multiples of G times the
// window's power of two, from 1 on.
//
// An odd number below 2^256 is a sum of +-2^i, one for each i up to any bound: bit i of the number shifted right, with a one at the
// bound, says whether + (Joye and Tunstall, AFRICACRYPT 2009). So no digit is zero.

//#include "ecdsa/points"
//#constant BASE_AT
//#constant BASE_WINDOWS
//#constant BASE_WINDOW_BITS

// The points of a lane, from the lowest window on.
struct BaseDigits {
    scalar: Words,
    top: u32,
    window: u32,
    negative: bool,
}

fn base_digits(lane: u32, state: State) -> BaseDigits {
    let scalar = words_shift_right(load_words(SLOT_BASE, lane), 0u, 1u);
    // The one at the bound.
    const top = 1u << (BASE_WINDOWS * BASE_WINDOW_BITS - 257u);
    return BaseDigits(scalar, top, 0u, (state.flags & FLAG_BASE_NEGATIVE) != 0u);
}

// y: magnitude at most 2.
fn base_point(digits: BaseDigits) -> Affine {
    const half = 1u << (BASE_WINDOW_BITS - 1u);
    let bits = digits.scalar[0] & (2u * half - 1u);
    let positive = bits >= half;
    // 2 index + 1 is the digit without its sign.
    let index = select(half - 1u - bits, bits - half, positive);
    let at = BASE_AT + (digits.window * half + index) * 4u;
    let x = fe_from_words(words_of_quads(table[at], table[at + 1u]));
    let y = fe_from_words(words_of_quads(table[at + 2u], table[at + 3u]));
    return Affine(x, fe_select(y, fe_neg(y), positive == digits.negative));
}

fn base_next(digits: BaseDigits) -> BaseDigits {
    return BaseDigits(
        words_shift_right(digits.scalar, digits.top, BASE_WINDOW_BITS),
        digits.top >> BASE_WINDOW_BITS,
        digits.window + 1u,
        digits.negative,
    );
}
