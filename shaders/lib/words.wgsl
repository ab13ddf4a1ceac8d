// Numbers of 256 bits in eight words, the least significant first, written out: no word is indexed by a variable.

alias Words = array<u32, 8>;

fn words_of_quads(low: vec4<u32>, high: vec4<u32>) -> Words {
    return Words(low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w);
}

fn words_low(a: Words) -> vec4<u32> {
    return vec4(a[0], a[1], a[2], a[3]);
}

fn words_high(a: Words) -> vec4<u32> {
    return vec4(a[4], a[5], a[6], a[7]);
}

fn words_small(value: u32) -> Words {
    return Words(value, 0u, 0u, 0u, 0u, 0u, 0u, 0u);
}

fn words_is_zero(a: Words) -> bool {
    return (a[0] | a[1] | a[2] | a[3] | a[4] | a[5] | a[6] | a[7]) == 0u;
}

fn words_select(a: Words, b: Words, second: bool) -> Words {
    return words_of_quads(
        select(words_low(a), words_low(b), second),
        select(words_high(a), words_high(b), second),
    );
}

// Whether a is below b: decided by the most significant word in which they differ.
fn words_below(a: Words, b: Words) -> bool {
    var below = a[0] < b[0];
    below = select(a[1] < b[1], below, a[1] == b[1]);
    below = select(a[2] < b[2], below, a[2] == b[2]);
    below = select(a[3] < b[3], below, a[3] == b[3]);
    below = select(a[4] < b[4], below, a[4] == b[4]);
    below = select(a[5] < b[5], below, a[5] == b[5]);
    below = select(a[6] < b[6], below, a[6] == b[6]);
    return select(a[7] < b[7], below, a[7] == b[7]);
}

// a + b + carry, carry being 0 or 1: the sum's low word, and what is carried on.
fn word_add(a: u32, b: u32, carry: u32) -> vec2<u32> {
    let sum = a + b;
    let total = sum + carry;
    return vec2(total, select(0u, 1u, sum < a || total < sum));
}

// a + b modulo 2^256.
fn words_add(a: Words, b: Words) -> Words {
    return words_add_carry(a, b, 0u);
}

// a - b modulo 2^256.
fn words_sub(a: Words, b: Words) -> Words {
    let complement = Words(~b[0], ~b[1], ~b[2], ~b[3], ~b[4], ~b[5], ~b[6], ~b[7]);
    return words_add_carry(a, complement, 1u);
}

fn words_add_carry(a: Words, b: Words, carry: u32) -> Words {
    let s0 = word_add(a[0], b[0], carry);
    let s1 = word_add(a[1], b[1], s0.y);
    let s2 = word_add(a[2], b[2], s1.y);
    let s3 = word_add(a[3], b[3], s2.y);
    let s4 = word_add(a[4], b[4], s3.y);
    let s5 = word_add(a[5], b[5], s4.y);
    let s6 = word_add(a[6], b[6], s5.y);
    let s7 = word_add(a[7], b[7], s6.y);
    return Words(s0.x, s1.x, s2.x, s3.x, s4.x, s5.x, s6.x, s7.x);
}

// a / 2^bits, bits being 1 to 31, with words from `top` coming in.
fn words_shift_right(a: Words, top: u32, bits: u32) -> Words {
    let rest = 32u - bits;
    return Words(
        (a[0] >> bits) | (a[1] << rest),
        (a[1] >> bits) | (a[2] << rest),
        (a[2] >> bits) | (a[3] << rest),
        (a[3] >> bits) | (a[4] << rest),
        (a[4] >> bits) | (a[5] << rest),
        (a[5] >> bits) | (a[6] << rest),
        (a[6] >> bits) | (a[7] << rest),
        (a[7] >> bits) | (top << rest),
    );
}
