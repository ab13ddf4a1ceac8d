//! The limb arithmetic of secp256k1's base field, for any [`Layout`].

use super::layout::{Layout, MAGNITUDE, PRODUCT_MAGNITUDE};
use super::straight::{Body, Value, Width, sum};

/// What rendering gives: the text, or the name of the value that may not fit.
pub(super) type Rendered = Result<String, String>;

/// Every function, by name.
pub(super) fn functions(layout: &Layout) -> Vec<(&'static str, Rendered)> {
    vec![
        ("Fe", Ok(element(layout))),
        ("fe_from_words", from_words(layout)),
        ("fe_pack", Ok(pack(layout))),
        ("fe_add", add(layout)),
        ("fe_sub", sub(layout)),
        ("fe_neg", neg(layout)),
        ("fe_mul", mul(layout, PRODUCT_MAGNITUDE, 1, Addend::None)),
        ("fe_mul_add", mul(layout, PRODUCT_MAGNITUDE, 1, Addend::Third)),
        ("fe_sqr", sqr(layout, Addend::None)),
        ("fe_sqr_add", sqr(layout, Addend::Third)),
        ("fe_mul_small", mul_small(layout)),
        ("fe_weak", weak(layout)),
        ("fe_half", half(layout)),
        ("fe_normalize", normalize(layout)),
        ("fe_has_zero_limbs", Ok(has_zero_limbs(layout))),
        ("fe_select", Ok(select(layout))),
    ]
}

fn element(layout: &Layout) -> String {
    format!("struct Fe {{\n    limbs: array<u32, {}>,\n}}\n", layout.limbs)
}

/// Any 256 bits: the prime and what is above it are taken for what they are modulo the prime.
fn from_words(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let limbs = unpacked(layout, &mut body);
    function(layout, "fe_from_words(words: array<u32, 8>)", "any words; result: magnitude 1", body, &limbs, 1)
}

/// The digits of `words`.
pub(super) fn unpacked(layout: &Layout, body: &mut Body) -> Vec<Value> {
    each(layout, |limb| {
        let (word, offset) = (layout.shift(limb) / 32, layout.shift(limb) % 32);
        let low = format!("words[{word}] >> {offset}u");
        let top = limb + 1 == layout.limbs;
        let bits = if top { layout.top_bits() } else { layout.bits };
        let text =
            if offset + bits > 32 { format!("({low}) | (words[{}] << {}u)", word + 1, 32 - offset) } else { low };
        body.bind(&format!("r{limb}"), &Value::bits(text).low(bits))
    })
}

/// The words of a normalised element.
fn pack(layout: &Layout) -> String {
    let words = packed(layout, 8, |limb| (limb < layout.limbs).then(|| format!("a.limbs[{limb}]")));
    format!("// a: normalised.\nfn fe_pack(a: Fe) -> array<u32, 8> {{\n    return {words};\n}}\n")
}

/// An array of so many words, from limbs that are digits.
pub(super) fn packed(layout: &Layout, words: u32, limb_text: impl Fn(usize) -> Option<String>) -> String {
    let word = |word: u32| {
        let parts = (0..).map_while(|limb| Some((limb, limb_text(limb)?))).filter_map(|(limb, text)| {
            let (from, to) = (layout.shift(limb), layout.shift(limb) + layout.bits);
            let overlaps = from < 32 * (word + 1) && to > 32 * word;
            overlaps.then(|| {
                if from >= 32 * word {
                    format!("({text} << {}u)", from - 32 * word)
                } else {
                    format!("({text} >> {}u)", 32 * word - from)
                }
            })
        });
        format!("        {},\n", parts.collect::<Vec<_>>().join(" | "))
    };
    let parts: String = (0..words).map(word).collect();
    format!("array<u32, {words}>(\n{parts}    )")
}

fn add(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    // That the magnitudes add up to no more than the largest is the caller's part.
    let a = parameter(layout, "a", MAGNITUDE - 1);
    let b = parameter(layout, "b", 1);
    let limbs = each(layout, |limb| body.bind(&format!("r{limb}"), &a[limb].plus(&b[limb])));
    let contract = "a, b: magnitudes whose sum is at most 7; result: that sum";
    function(layout, "fe_add(a: Fe, b: Fe)", contract, body, &limbs, MAGNITUDE)
}

fn sub(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let a = parameter(layout, "a", MAGNITUDE - 2);
    let b = parameter(layout, "b", 1);
    let cover = layout.cover();
    let limbs =
        each(layout, |limb| body.bind(&format!("r{limb}"), &a[limb].plus(&b[limb].subtracted_from(cover[limb]))));
    let contract = "a: magnitude at most 5; b: magnitude 1; result: a's magnitude and 2";
    function(layout, "fe_sub(a: Fe, b: Fe)", contract, body, &limbs, MAGNITUDE)
}

fn neg(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let a = parameter(layout, "a", 1);
    let cover = layout.cover();
    let limbs = each(layout, |limb| body.bind(&format!("r{limb}"), &a[limb].subtracted_from(cover[limb])));
    function(layout, "fe_neg(a: Fe)", "a: magnitude 1; result: magnitude 2", body, &limbs, 2)
}

/// What is added to a product before its carries run, which then run once for both.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Addend {
    None,
    /// A parameter of the largest magnitude.
    Third,
}

impl Addend {
    fn parameter(self) -> &'static str {
        if self == Self::Third { ", c: Fe" } else { "" }
    }

    fn name(self) -> &'static str {
        if self == Self::Third { "_add" } else { "" }
    }

    fn contract(self) -> String {
        if self == Self::Third { format!("c: magnitude at most {MAGNITUDE}; ") } else { String::new() }
    }

    fn column(self, layout: &Layout, column: usize) -> Option<Value> {
        let limbs = (self == Self::Third).then(|| parameter(layout, "c", MAGNITUDE))?;
        Some(limbs.get(column)?.to(layout.accumulator))
    }
}

/// Column by column, no carry between products.
fn mul(layout: &Layout, magnitude_a: u128, magnitude_b: u128, addend: Addend) -> Rendered {
    let mut body = Body::default();
    let a = factors(layout, &mut body, "a", &parameter(layout, "a", magnitude_a));
    let b = factors(layout, &mut body, "b", &parameter(layout, "b", magnitude_b));
    let columns: Vec<_> = (0..2 * layout.limbs - 1)
        .map(|column| {
            let pairs = (0..layout.limbs).filter_map(|i| Some((a.get(i)?, b.get(column.checked_sub(i)?)?)));
            let products = pairs.map(|(a, b)| a.times(b));
            let products = sum(layout.accumulator, products.chain(addend.column(layout, column)));
            body.bind(&format!("p{column}"), &products)
        })
        .collect();
    let limbs = reduce(layout, &mut body, &columns);
    let contract = format!(
        "a, b: magnitudes whose product is at most {PRODUCT_MAGNITUDE}; {}result: magnitude 1",
        addend.contract()
    );
    let head = format!("fe_mul{}(a: Fe, b: Fe{})", addend.name(), addend.parameter());
    function(layout, &head, &contract, body, &limbs, 1)
}

/// As [`mul`], with each mixed product taken once and doubled.
fn sqr(layout: &Layout, addend: Addend) -> Rendered {
    let mut body = Body::default();
    let limbs = parameter(layout, "a", 1);
    let a = factors(layout, &mut body, "a", &limbs);
    let doubled: Vec<_> = limbs.iter().map(|limb| limb.shifted_left(1)).collect();
    let d = factors(layout, &mut body, "d", &doubled);
    let columns: Vec<_> = (0..2 * layout.limbs - 1)
        .map(|column| {
            let mixed = (0..column.div_ceil(2)).filter_map(|i| Some(d.get(i)?.times(a.get(column - i)?)));
            let middle = a.get(column / 2).filter(|_| column % 2 == 0).map(|a| a.times(a));
            let terms = mixed.chain(middle).chain(addend.column(layout, column));
            body.bind(&format!("p{column}"), &sum(layout.accumulator, terms))
        })
        .collect();
    let limbs = reduce(layout, &mut body, &columns);
    let contract = format!("a: magnitude 1; {}result: magnitude 1", addend.contract());
    function(layout, &format!("fe_sqr{}(a: Fe{})", addend.name(), addend.parameter()), &contract, body, &limbs, 1)
}

fn mul_small(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let factor = body.bind("factor", &Value::given("k", 0xffff).to(layout.accumulator));
    let columns = each(layout, |limb| {
        let a = &parameter(layout, "a", MAGNITUDE)[limb];
        body.bind(&format!("p{limb}"), &a.to(layout.accumulator).times(&factor))
    });
    let limbs = carry(layout, &mut body, &columns, &[]);
    let contract = "a: magnitude at most 7; k: below 2^16; result: magnitude 1";
    function(layout, "fe_mul_small(a: Fe, k: u32)", contract, body, &limbs, 1)
}

fn weak(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let limbs = carry(layout, &mut body, &parameter(layout, "a", MAGNITUDE), &[]);
    function(layout, "fe_weak(a: Fe)", "a: magnitude at most 7; result: magnitude 1", body, &limbs, 1)
}

/// An odd number has the prime added, which is odd, and is even then.
fn half(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let a = parameter(layout, "a", MAGNITUDE - 1);
    let prime = layout.prime();
    let odd = body.bind("odd", &Value::bits(format!("0u - ({} & 1u)", a[0].text())));
    let even = each(layout, |limb| {
        let value = a[limb].plus(&odd.masked(prime[limb]));
        body.bind(&format!("e{limb}"), &value)
    });
    let limbs = each(layout, |limb| {
        let own = even[limb].shifted_right(1);
        let value = match even.get(limb + 1) {
            Some(next) => own.plus(&next.masked(1).shifted_left(layout.bits - 1)),
            None => own,
        };
        body.bind(&format!("r{limb}"), &value)
    });
    let contract = "a: magnitude at most 6; result: half of a's magnitude, rounded up, and 1";
    function(layout, "fe_half(a: Fe)", contract, body, &limbs, MAGNITUDE / 2 + 1)
}

/// Carries once, which leaves less than twice the prime; then adds 2^256 less the prime, and takes what that gives if it
/// reaches 2^256.
fn normalize(layout: &Layout) -> Rendered {
    let mut body = Body::default();
    let (digits, above) = chain(layout, &mut body, "t", &parameter(layout, "a", MAGNITUDE));
    let folded = each(layout, |limb| {
        let folds = fold_at(layout.fold_256, limb).map(|factor| above.times_number(factor));
        sum(Width::U32, std::iter::once(digits[limb].clone()).chain(folds))
    });
    let (below, beyond) = chain_open(layout, &mut body, "v", &folded);
    // The value is then below 2^256 and a limb's carry: less than twice the prime.
    body.require("v", &beyond, 1 << layout.top_bits());
    let mut below = below;
    below.push(beyond);
    let raised = each(layout, |limb| {
        let complement = fold_at(layout.fold_256, limb).map(|factor| Value::literal(factor, Width::U32));
        sum(Width::U32, std::iter::once(below[limb].clone()).chain(complement))
    });
    let (above, over) = chain(layout, &mut body, "u", &raised);
    body.line(&format!("let reduced = ({}) != 0u;", over.text()));
    let limbs = each(layout, |limb| {
        let most = if limb + 1 == layout.limbs { 1 << layout.top_bits() } else { 1 << layout.bits };
        let text = format!("select({}, {}, reduced)", below[limb].text(), above[limb].text());
        body.bind(&format!("r{limb}"), &Value::given(text, most - 1))
    });
    function(layout, "fe_normalize(a: Fe)", "a: magnitude at most 7; result: below the prime", body, &limbs, 1)
}

fn has_zero_limbs(layout: &Layout) -> String {
    let limbs: Vec<_> = (0..layout.limbs).map(|limb| format!("a.limbs[{limb}]")).collect();
    format!("fn fe_has_zero_limbs(a: Fe) -> bool {{\n    return ({}) == 0u;\n}}\n", limbs.join(" | "))
}

fn select(layout: &Layout) -> String {
    let limbs: Vec<_> =
        (0..layout.limbs).map(|limb| format!("select(a.limbs[{limb}], b.limbs[{limb}], second)")).collect();
    let element = construct(layout, &limbs);
    format!(
        "// The larger of the two magnitudes.\nfn fe_select(a: Fe, b: Fe, second: bool) -> Fe {{\n    return {element};\n}}\n"
    )
}

/// Columns of twice the limbs, less one, to an element of magnitude 1.
fn reduce(layout: &Layout, body: &mut Body, columns: &[Value]) -> Vec<Value> {
    let (low, high) = columns.split_at(layout.limbs);
    // The high half in digits, so that they can be multiplied again.
    let mut digits = Vec::new();
    let mut carried: Option<Value> = None;
    for (index, column) in high.iter().enumerate() {
        let total = carried.iter().fold(column.clone(), |column, carried| carried.plus(&column));
        let total = body.bind(&format!("s{index}"), &total);
        digits.push(body.bind(&format!("q{index}"), &total.low(layout.bits).to(layout.accumulator)));
        carried = Some(body.bind(&format!("e{index}"), &total.shifted_right(layout.bits)));
    }
    let last = carried.unwrap_or_else(|| Value::literal(0, layout.accumulator)).to(Width::U32);
    digits.push(body.bind(&format!("q{}", high.len()), &last.to(layout.accumulator)));
    // Digits fall on the low columns, and some beyond them.
    let folded_at = |limb: usize| {
        let parts = layout.fold_limbs.iter().filter_map(|(offset, factor)| {
            let digit = digits.get(limb.checked_sub(*offset)?)?;
            Some(digit.times_number(*factor))
        });
        parts.collect::<Vec<_>>()
    };
    let columns =
        each(layout, |limb| sum(layout.accumulator, std::iter::once(low[limb].clone()).chain(folded_at(limb))));
    let excess = layout.shift(layout.limbs) - 256;
    let beyond: Vec<_> = (layout.limbs..2 * layout.limbs)
        .map(folded_at)
        .take_while(|parts| !parts.is_empty())
        .map(|parts| sum(layout.accumulator, parts).shifted_left(excess))
        .collect();
    carry(layout, body, &columns, &beyond)
}

/// Columns to an element of magnitude 1: carries, folds what is at 2^256 and above, and carries as far as that reaches.
/// `beyond` holds what is at 2^256 already, in limbs.
fn carry(layout: &Layout, body: &mut Body, columns: &[Value], beyond: &[Value]) -> Vec<Value> {
    let (digits, above) = chain(layout, body, "t", columns);
    let width = beyond.first().map_or(Width::U32, |_| layout.accumulator);
    let above = beyond.iter().take(1).fold(above.to(width), |above, beyond| above.plus(beyond));
    let above = body.bind("above", &above);
    // Two digits, if the products of one would not fit.
    let largest = layout.fold_256.iter().map(|(_, factor)| factor).max().map_or(0, |factor| factor << 1);
    let fits = |most: u128| most <= Width::U32.most() && most * largest <= layout.accumulator.most();
    let mut parts = if beyond.len() < 2 && above.most().is_some_and(fits) {
        vec![above.to(Width::U32)]
    } else {
        let rest = beyond.iter().skip(1).fold(above.shifted_right(layout.bits), |rest, beyond| rest.plus(beyond));
        vec![body.bind("h0", &above.low(layout.bits)), body.bind("h1", &rest.to(Width::U32))]
    };
    for part in &mut parts {
        *part = part.to(layout.accumulator);
    }
    let folded_at = |limb: usize| {
        let products = layout.fold_256.iter().filter_map(|(offset, factor)| {
            let part = parts.get(limb.checked_sub(*offset)?)?;
            Some(part.times_number(*factor))
        });
        products.collect::<Vec<_>>()
    };
    let last_fold = (0..layout.limbs).rev().find(|limb| !folded_at(*limb).is_empty()).unwrap_or(0);
    let mut carried: Option<Value> = None;
    each(layout, |limb| {
        let folded = folded_at(limb);
        let width = if folded.is_empty() { Width::U32 } else { layout.accumulator };
        let terms = std::iter::once(digits[limb].to(width)).chain(folded).chain(carried.take().map(|c| c.to(width)));
        let total = sum(width, terms);
        let settled = limb >= last_fold && total.most().is_some_and(|most| most <= layout.unit(limb));
        let name = format!("r{limb}");
        if settled || limb + 1 == layout.limbs {
            return body.bind(&name, &total.to(Width::U32));
        }
        let total = body.bind(&format!("w{limb}"), &total);
        carried = Some(body.bind(&format!("x{limb}"), &total.shifted_right(layout.bits)));
        body.bind(&name, &total.low(layout.bits))
    })
}

/// Carries from limb to limb: the digits, and what is at 2^256.
pub(super) fn chain(layout: &Layout, body: &mut Body, name: &str, columns: &[Value]) -> (Vec<Value>, Value) {
    let (mut digits, top) = chain_open(layout, body, name, columns);
    digits.push(body.bind(&format!("{name}{}", layout.limbs - 1), &top.low(layout.top_bits())));
    (digits, body.bind(&format!("{name}_above"), &top.shifted_right(layout.top_bits())))
}

/// The same with all of the top limb by itself.
pub(super) fn chain_open(layout: &Layout, body: &mut Body, name: &str, columns: &[Value]) -> (Vec<Value>, Value) {
    let mut carried: Option<Value> = None;
    let mut digits = Vec::new();
    for (limb, column) in columns.iter().enumerate() {
        let total = carried.iter().fold(column.clone(), |column, carried| column.plus(carried));
        let total = body.bind(&format!("{name}_sum{limb}"), &total);
        if limb + 1 == layout.limbs {
            return (digits, total);
        }
        digits.push(body.bind(&format!("{name}{limb}"), &total.low(layout.bits)));
        carried = Some(body.bind(&format!("{name}_carry{limb}"), &total.shifted_right(layout.bits)));
    }
    (digits, Value::literal(0, Width::U32))
}

fn fold_at(fold: &'static [(usize, u128)], limb: usize) -> impl Iterator<Item = u128> {
    fold.iter().filter(move |(offset, _)| *offset == limb).map(|(_, factor)| *factor)
}

/// The limbs of a parameter of a magnitude.
fn parameter(layout: &Layout, name: &str, magnitude: u128) -> Vec<Value> {
    each(layout, |limb| Value::given(format!("{name}.limbs[{limb}]"), magnitude * layout.unit(limb)))
}

/// Limbs as factors of the accumulator's width.
pub(super) fn factors(layout: &Layout, body: &mut Body, name: &str, limbs: &[Value]) -> Vec<Value> {
    each(layout, |limb| {
        let factor = layout.factor_bits.map_or_else(|| limbs[limb].clone(), |bits| limbs[limb].known_short(bits));
        body.bind(&format!("{name}{limb}"), &factor.to(layout.accumulator))
    })
}

pub(super) fn each<T>(layout: &Layout, of: impl FnMut(usize) -> T) -> Vec<T> {
    (0..layout.limbs).map(of).collect()
}

fn construct(layout: &Layout, limbs: &[String]) -> String {
    format!("Fe(array<u32, {}>({}))", layout.limbs, limbs.join(", "))
}

/// A function that returns an element, whose limbs are checked against its magnitude.
fn function(layout: &Layout, head: &str, contract: &str, mut body: Body, limbs: &[Value], magnitude: u128) -> Rendered {
    for (limb, value) in limbs.iter().enumerate() {
        body.require(value.text(), value, magnitude * layout.unit(limb));
    }
    let names: Vec<_> = limbs.iter().map(|limb| limb.text().to_owned()).collect();
    let (lines, bits) = body.finish()?;
    let element = construct(layout, &names);
    Ok(format!(
        "// {contract}. No value takes more than {bits} bits.\nfn {head} -> Fe {{\n{lines}    return {element};\n}}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_may_be_given_either_way_round() {
        for layout in [Layout::U64, Layout::U32] {
            let rendered = mul(&layout, PRODUCT_MAGNITUDE, 1, Addend::Third).expect("fits");
            assert_eq!(mul(&layout, 1, PRODUCT_MAGNITUDE, Addend::Third), Ok(rendered));
        }
    }

    #[test]
    fn larger_factors_would_not_fit_the_smaller_layout() {
        assert!(mul(&Layout::U32, PRODUCT_MAGNITUDE + 1, 1, Addend::None).is_err());
    }
}
