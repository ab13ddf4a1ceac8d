//! The limb arithmetic of scalars, modulo the order n of secp256k1's group, for any [`Layout`].
//!
//! A scalar has digits for limbs, but for the top one, which may have one bit more than within 256: its value is below 2^257.
//! Products are Montgomery's (Math. Comp. 44, 1985), with R = 2^(bits * limbs): n has no form that folds as p does.

use super::field::{Rendered, chain, each, factors, packed, unpacked};
use super::layout::Layout;
use super::straight::{Body, Value, Width, sum};
use crate::gpu::shader::constants::ecdsa::words_of;
use crate::scheme::ecdsa::ORDER;

/// Every function, by name.
pub(super) fn functions(layout: &Layout) -> Vec<(&'static str, Rendered)> {
    vec![
        ("Sc", Ok(format!("struct Sc {{\n    limbs: array<u32, {}>,\n}}\n", layout.limbs))),
        ("sc_from_words", from_words(layout)),
        ("sc_pack", Ok(pack(layout))),
        ("sc_mul", mul(layout)),
        ("sc_reduce", reduce(layout)),
        ("sc_select", Ok(select(layout))),
        ("glv_split", glv_split(layout)),
    ]
}

fn from_words(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let limbs = unpacked(layout, &mut body);
    function(layout, "sc_from_words(words: array<u32, 8>)", "any words; result: below 2^256", body, &limbs)
}

fn pack(layout: &Layout) -> String {
    let words = packed(layout, 8, |limb| (limb < layout.limbs).then(|| format!("a.limbs[{limb}]")));
    format!("// a: below 2^256.\nfn sc_pack(a: Sc) -> array<u32, 8> {{\n    return {words};\n}}\n")
}

/// Column by column; a multiple of n clears the lowest limb, as often as there are limbs.
fn mul(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let a = factors(layout, &mut body, "a", &parameter(layout, "a"));
    let b = factors(layout, &mut body, "b", &parameter(layout, "b"));
    let order = layout.limbs_of(&words_of(&ORDER), layout.limbs);
    let inverse = negative_inverse(order[0], layout.bits);
    let mut multiples: Vec<Value> = Vec::new();
    let mut carried: Option<Value> = None;
    let column = |index: usize, body: &mut Body, multiples: &[Value], carried: Option<Value>| {
        let pairs = (0..layout.limbs).filter_map(|i| Some(a.get(i)?.times(b.get(index.checked_sub(i)?)?)));
        let folds = multiples.iter().enumerate().filter_map(|(i, multiple)| {
            let limb = index.checked_sub(i).filter(|limb| *limb > 0)?;
            Some(multiple.times_number(*order.get(limb)?))
        });
        body.bind(&format!("p{index}"), &sum(layout.accumulator, pairs.chain(folds).chain(carried)))
    };
    for index in 0..layout.limbs {
        let total = column(index, &mut body, &multiples, carried.take());
        let low = body.bind(&format!("l{index}"), &total.low(layout.bits));
        let multiple = Value::bits(format!("{} * {inverse}u", low.text())).low(layout.bits);
        let multiple = body.bind(&format!("m{index}"), &multiple.to(layout.accumulator));
        let cleared = total.plus(&multiple.times_number(order[0]));
        carried = Some(body.bind(&format!("e{index}"), &cleared.shifted_right(layout.bits)));
        multiples.push(multiple);
    }
    let limbs: Vec<_> = (layout.limbs..2 * layout.limbs)
        .map(|index| {
            let name = format!("r{}", index - layout.limbs);
            let total = column(index, &mut body, &multiples, carried.take());
            if index + 1 == 2 * layout.limbs {
                return body.bind(&name, &total.to(Width::U32));
            }
            carried = Some(body.bind(&format!("e{index}"), &total.shifted_right(layout.bits)));
            body.bind(&name, &total.low(layout.bits))
        })
        .collect();
    let contract = format!("result: a * b / 2^{} modulo n, below n and a b / 2^{0}", layout.shift(layout.limbs));
    function(layout, "sc_mul(a: Sc, b: Sc)", &contract, body, &limbs)
}

/// -1 / `odd` modulo 2^`bits`, by Newton's iteration.
fn negative_inverse(odd: u128, bits: u32) -> u128 {
    let modulus = 1_u128 << bits;
    let mut inverse = 1_u128;
    for _ in 0..6 {
        inverse = inverse * (2 + modulus * modulus - odd * inverse % modulus) % modulus;
    }
    modulus - inverse
}

/// Adds 2^256 - n, and takes what that gives less 2^256 if it reaches that.
fn reduce(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let a = parameter(layout, "a");
    let complement = layout.limbs_of(&complement_of(words_of(&ORDER)), layout.limbs);
    let raised = each(layout, |limb| a[limb].plus(&Value::literal(complement[limb], Width::U32)));
    let (less, over) = chain(layout, &mut body, "u", &raised);
    body.line(&format!("let reaches = ({}) != 0u;", over.text()));
    let limbs = each(layout, |limb| {
        let text = format!("select({}, {}, reaches)", a[limb].text(), less[limb].text());
        body.bind(&format!("r{limb}"), &Value::given(text, most(layout, limb)))
    });
    function(layout, "sc_reduce(a: Sc)", "a: below 2n; result: below n", body, &limbs)
}

fn select(layout: &Layout) -> String {
    let limbs: Vec<_> =
        (0..layout.limbs).map(|limb| format!("select(a.limbs[{limb}], b.limbs[{limb}], second)")).collect();
    let scalar = construct(layout, &limbs);
    format!("fn sc_select(a: Sc, b: Sc, second: bool) -> Sc {{\n    return {scalar};\n}}\n")
}

/// Two short vectors (a, b) with a + b lambda = 0 modulo n, by the extended Euclidean algorithm (Gallant, Lambert, Vanstone, CRYPTO
/// 2001): a1, -b1 and a2; b2 is a1.
const A1: u128 = 0x3086_d221_a7d4_6bcd_e86c_90e4_9284_eb15;
const MINUS_B1: u128 = 0xe443_7ed6_010e_8828_6f54_7fa9_0abf_e4c3;
const A2_ABOVE_2_128: u128 = 0x14ca_50f7_a8e2_f3f6_57c1_108d_9d44_cfd8;

/// 2^384 b2 / n and -2^384 b1 / n, rounded, in words from the least significant one on.
const G1: [u32; 8] =
    [0x45db_b031, 0xe893_209a, 0x71e8_ca7f, 0x3daa_8a14, 0x9284_eb15, 0xe86c_90e4, 0xa7d4_6bcd, 0x3086_d221];
const G2: [u32; 8] =
    [0x8ac4_7f71, 0x1571_b4ae, 0x9df5_06c6, 0x2212_08ac, 0x0abf_e4c4, 0x6f54_7fa9, 0x010e_8828, 0xe443_7ed6];

/// k = k1 + k2 lambda: k less the nearest multiples of the two vectors, c1 = b2 k / n and c2 = -b1 k / n of them. Halves are
/// integers in two's complement, of a little more than 128 bits and a sign.
fn glv_split(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let k = parameter(layout, "k");
    let c1 = quotient(layout, &mut body, "c", &k, &G1);
    let c2 = quotient(layout, &mut body, "d", &k, &G2);
    // Modulo a power of two well above the halves.
    let width = 143_u32.div_ceil(layout.bits) as usize;
    let words = |value: u128, above: u8| {
        let mut number = [0; 32];
        number[15] = above;
        number[16..].copy_from_slice(&value.to_be_bytes());
        words_of(&number)
    };
    let minus = |value: u128, above: u8| layout.limbs_of(&complement_of(words(value, above)), width);
    let plus = |value: u128| layout.limbs_of(&words(value, 0), width);
    let halves = [("k1", Some(&k), minus(A1, 0), minus(A2_ABOVE_2_128, 1)), ("k2", None, plus(MINUS_B1), minus(A1, 0))];
    for (name, start, first, second) in halves {
        let mut carried: Option<Value> = None;
        for limb in 0..width {
            let own = start.map(|k| k[limb].to(layout.accumulator));
            let products = [(&c1, &first), (&c2, &second)].into_iter().flat_map(|(c, by)| {
                (0..=limb).filter_map(move |i| Some(c.get(i)?.to(layout.accumulator).times_number(by[limb - i])))
            });
            let terms: Vec<_> = own.into_iter().chain(products).chain(carried.take()).collect();
            let total = body.bind(&format!("{name}_sum{limb}"), &sum(layout.accumulator, terms));
            body.bind(&format!("{name}_{limb}"), &total.low(layout.bits));
            carried = Some(total.shifted_right(layout.bits));
        }
        let words = packed(layout, 5, |limb| (limb < width).then(|| format!("{name}_{limb}")));
        body.line(&format!("var {name} = {words};"));
        // The sign, from the top limb on upwards.
        let unused = 160 - layout.shift(width);
        body.line(&format!("{name}[4] = bitcast<u32>(bitcast<i32>({name}[4] << {unused}u) >> {unused}u);"));
    }
    let (lines, bits) = body.finish()?;
    Ok(format!(
        "// k: below n. No value takes more than {bits} bits.\n\
         fn glv_split(k: Sc) -> GlvHalves {{\n{lines}    return GlvHalves(k1, k2);\n}}\n"
    ))
}

/// k g / 2^384, rounded, in digits.
fn quotient(layout: &Layout, body: &mut Body, name: &str, k: &[Value], g: &[u32; 8]) -> Vec<Value> {
    let g = layout.limbs_of(g, layout.limbs);
    let (half_limb, half_bit) = (383 / layout.bits as usize, 383 % layout.bits);
    let mut carried: Option<Value> = None;
    let mut digits = Vec::new();
    for column in 0..2 * layout.limbs {
        let pairs = (0..layout.limbs)
            .filter_map(|i| Some(k.get(i)?.to(layout.accumulator).times_number(*g.get(column.checked_sub(i)?)?)));
        let half = (column == half_limb).then(|| Value::literal(1 << half_bit, layout.accumulator));
        let terms: Vec<_> = pairs.chain(half).chain(carried.take()).collect();
        let total = body.bind(&format!("{name}_sum{column}"), &sum(layout.accumulator, terms));
        digits.push(total.low(layout.bits));
        carried = Some(total.shifted_right(layout.bits));
    }
    let (first, offset) = (384 / layout.bits as usize, 384 % layout.bits);
    (0..129_u32.div_ceil(layout.bits) as usize)
        .map(|limb| {
            let low = digits.get(first + limb).map(|digit| digit.shifted_right(offset));
            let high = digits.get(first + limb + 1);
            let high = high.map(|digit| digit.low(offset).shifted_left(layout.bits - offset));
            let value = sum(Width::U32, low.into_iter().chain(high));
            body.bind(&format!("{name}{limb}"), &value)
        })
        .collect()
}

/// 2^256 less a number that is not zero.
fn complement_of(words: [u32; 8]) -> [u32; 8] {
    let mut carry = true;
    words.map(|word| {
        let (sum, over) = (!word).overflowing_add(u32::from(carry));
        carry = over;
        sum
    })
}

fn most(layout: &Layout, limb: usize) -> u128 {
    let bits = if limb + 1 == layout.limbs { layout.top_bits() + 1 } else { layout.bits };
    (1 << bits) - 1
}

fn parameter(layout: &Layout, name: &str) -> Vec<Value> {
    each(layout, |limb| Value::given(format!("{name}.limbs[{limb}]"), most(layout, limb)))
}

fn construct(layout: &Layout, limbs: &[String]) -> String {
    format!("Sc(array<u32, {}>({}))", layout.limbs, limbs.join(", "))
}

fn function(layout: &Layout, head: &str, contract: &str, mut body: Body, limbs: &[Value]) -> Rendered {
    for (limb, value) in limbs.iter().enumerate() {
        body.require(value.text(), value, most(layout, limb));
    }
    let names: Vec<_> = limbs.iter().map(|limb| limb.text().to_owned()).collect();
    let (lines, bits) = body.finish()?;
    let scalar = construct(layout, &names);
    Ok(format!(
        "// {contract}. No value takes more than {bits} bits.\nfn {head} -> Sc {{\n{lines}    return {scalar};\n}}\n"
    ))
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;

    use super::*;

    fn number(words: &[u32]) -> BigInt {
        words.iter().rev().fold(BigInt::ZERO, |number, word| (number << 32) + *word)
    }

    #[test]
    fn vectors_are_of_the_lattice_and_quotients_are_rounded() {
        let n = number(&words_of(&ORDER));
        let lambda: BigInt =
            "37718080363155996902926221483475020450927657555482586988616620542887997980018".parse().expect("digits");
        let (a1, b1, b2) = (BigInt::from(A1), -BigInt::from(MINUS_B1), BigInt::from(A1));
        let a2 = (BigInt::from(1) << 128) + A2_ABOVE_2_128;
        assert_eq!((&lambda * &lambda + &lambda + 1) % &n, BigInt::ZERO);
        assert_eq!((&a1 + &b1 * &lambda) % &n, BigInt::ZERO);
        assert_eq!((&a2 + &b2 * &lambda) % &n, BigInt::ZERO);
        for (g, b) in [(G1, b2), (G2, -b1)] {
            let rounded: BigInt = ((b << 385) + &n) / (n.clone() * 2);
            assert_eq!(number(&g), rounded);
        }
    }

    #[test]
    fn inverses_are_inverses() {
        for layout in [Layout::U64, Layout::U32] {
            let lowest = layout.limbs_of(&words_of(&ORDER), 1)[0];
            let product = lowest * negative_inverse(lowest, layout.bits) + 1;
            assert_eq!(product % (1 << layout.bits), 0);
        }
    }
}
