//! The base field of secp256k1 on every adapter there is, in both variants, against big integers: operands at every edge of a
//! limb, numbers of lanes around a workgroup.

#![cfg(feature = "gpu")]

use num_bigint::BigUint;
use phalanx::gpu::shader::{Arithmetic, WORKGROUP_SIZE};
use phalanx::gpu::{Chain, Field, FieldKernel, Operation, adapters};

type Words = [u32; 8];

/// The prime by which pairs go out of step with workgroups, so that swapped lanes show.
const PERIOD: usize = 251;

fn prime() -> BigUint {
    (BigUint::from(1_u8) << 256) - (BigUint::from(1_u8) << 32) - 977_u16
}

fn words(value: &BigUint) -> Words {
    let mut words = [0; 8];
    for (word, digit) in words.iter_mut().zip(value.to_u32_digits()) {
        *word = digit;
    }
    words
}

fn number(words: &Words) -> BigUint {
    BigUint::new(words.to_vec())
}

/// What an operation should give, by the definition.
fn expected(operation: Operation, a: &Words, b: &Words) -> Words {
    let p = prime();
    let (a, b) = (number(a) % &p, number(b) % &p);
    let negative = |value: &BigUint| (&p - value) % &p;
    let half = |value: &BigUint| value * ((&p + 1_u8) / 2_u8) % &p;
    let answer = |yes: bool| BigUint::from(if yes { 1_u8 } else { 2 });
    let difference = (&a + negative(&b)) % &p;
    words(&match operation {
        Operation::Add => (a + b) % p,
        Operation::Sub => difference,
        Operation::Neg => negative(&a),
        Operation::Half => half(&a),
        Operation::Mul => a * b % p,
        Operation::MulSmall => a * 7_u8 * Field::SMALL_FACTOR % p,
        Operation::Sqr => &a * &a % p,
        Operation::Inv => a.modpow(&(&p - 2_u8), &p),
        Operation::Sqrt => {
            let root = a.modpow(&((&p + 1_u8) / 4_u8), &p);
            if &root * &root % &p == a { root } else { p }
        }
        Operation::Equal => answer(a == b),
        Operation::IsZero => answer(a == BigUint::ZERO),
        Operation::Magnitudes => (b.clone() * 3_u8 * half(&difference) + &difference + negative(&b)) % p,
    })
}

/// Zero, the prime, the largest of all, both sides of every limb's edge in both variants, and limbs that are all ones.
fn edges() -> Vec<Words> {
    let one = BigUint::from(1_u8);
    let p = prime();
    let most: BigUint = (&one << 256) - 1_u8;
    let mut edges = vec![BigUint::ZERO, one.clone(), &p - 1_u8, p.clone(), &p + 1_u8, most.clone(), &most - 1_u8];
    edges.extend([(&p - 1_u8) / 2_u8, (&p + 1_u8) / 2_u8, &p - 2_u8, &p + 2_u8, &one << 255]);
    for limb_bits in [13, 29, 32] {
        for edge in (limb_bits..256).step_by(limb_bits) {
            let power = &one << edge;
            edges.extend([&power - 1_u8, power.clone(), &power + 1_u8, &most - &power, &p - &power]);
            // One full limb by itself.
            edges.push(&power - (&power >> limb_bits));
        }
    }
    edges.iter().map(words).collect()
}

fn random(count: usize, mut state: u64) -> Vec<Words> {
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    };
    // Words of all zeros and all ones are common, so that carries run far.
    let mut word = || match next() % 4 {
        0 => 0,
        1 => u32::MAX,
        _ => next(),
    };
    (0..count).map(|_| std::array::from_fn(|_| word())).collect()
}

/// Pairs of operands: every edge with every other for the cheap oracle, fewer where it is an exponentiation.
fn pairs(operation: Operation) -> (Vec<Words>, Vec<Words>) {
    let edges = edges();
    let powers = matches!(operation, Operation::Inv | Operation::Sqrt);
    let partners = if powers { 1 } else { 16 };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (index, edge) in edges.iter().enumerate() {
        for partner in 0..partners {
            left.push(*edge);
            right.push(edges[(index + partner * partner) % edges.len()]);
        }
    }
    left.extend(random(if powers { 300 } else { 2_000 }, 1));
    right.extend(random(left.len() - right.len(), 2));
    (left, right)
}

/// Runs `check` for every adapter and variant.
fn on_every_adapter(check: impl Fn(&Field, &str)) {
    let adapters = adapters();
    if adapters.is_empty() {
        eprintln!("skipped: there is no GPU adapter here; `cargo xtask test` installs a software one");
    }
    for adapter in adapters {
        for arithmetic in Arithmetic::ALL {
            let place = format!("{} ({}), variant {arithmetic}", adapter.name(), adapter.driver());
            if let Some(refusal) = adapter.refusal(arithmetic) {
                eprintln!("skipped: {place}: {refusal}");
                continue;
            }
            let field = Field::on(&adapter, arithmetic).unwrap_or_else(|error| panic!("{place}: {error}"));
            check(&field, &place);
        }
    }
}

/// Compares what a kernel answers for pairs of operands with what they should give.
fn compare(
    kernel: &FieldKernel<'_>,
    (a, b): (Vec<Words>, Vec<Words>),
    place: &str,
    expected: impl Fn(&Words, &Words) -> Words,
) {
    let results = kernel.apply(&a, &b).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(results.len(), a.len(), "{place}");
    for ((a, b), result) in a.iter().zip(&b).zip(&results) {
        assert_eq!(*result, expected(a, b), "of {a:08x?} and {b:08x?} on {place}");
    }
}

#[test]
fn sums_and_products_are_those_of_big_integers() {
    on_every_adapter(|field, place| {
        for operation in Operation::ALL {
            let kernel = field.operation(operation).unwrap_or_else(|error| panic!("{place}: {error}"));
            let place = format!("{place}, {operation:?}");
            compare(&kernel, pairs(operation), &place, |a, b| expected(operation, a, b));
        }
    });
}

/// What is timed must be right: a compiler that cut a chain short would look fast.
#[test]
fn chains_are_powers() {
    let p = prime();
    on_every_adapter(|field, place| {
        for chain in Chain::ALL {
            let kernel = field.chain(chain).unwrap_or_else(|error| panic!("{place}: {error}"));
            let place = format!("{place}, {chain:?}");
            compare(&kernel, (random(PERIOD, 5), random(PERIOD, 6)), &place, |a, b| {
                let (a, b) = (number(a), number(b));
                words(&match chain {
                    Chain::Mul => a * b.modpow(&BigUint::from(chain.operations()), &p) % &p,
                    Chain::Sqr => a.modpow(&(BigUint::from(1_u8) << chain.operations()), &p),
                    Chain::Inv => a.modpow(&(&p - 2_u8), &p),
                })
            });
        }
    });
}

#[test]
fn every_number_of_lanes_is_answered_in_order() {
    let (a, b) = (random(PERIOD, 3), random(PERIOD, 4));
    let group = WORKGROUP_SIZE as usize;
    on_every_adapter(|field, place| {
        let kernel = field.operation(Operation::Sub).unwrap_or_else(|error| panic!("{place}: {error}"));
        for lanes in [0, 1, group - 1, group, group + 1, 3 * group - 1, 1_000, 65_537] {
            let a: Vec<_> = a.iter().cycle().take(lanes).copied().collect();
            let b: Vec<_> = b.iter().cycle().take(lanes).copied().collect();
            let results = kernel.apply(&a, &b).unwrap_or_else(|error| panic!("{place}: {error}"));
            let expected = a.iter().zip(&b).map(|(a, b)| expected(Operation::Sub, a, b));
            assert!(results.iter().copied().eq(expected), "{lanes} lanes on {place}");
        }
    });
}

#[test]
fn operands_of_two_lengths_are_an_error() {
    on_every_adapter(|field, place| {
        let kernel = field.operation(Operation::Add).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert!(kernel.apply(&[[0; 8]; 2], &[[0; 8]; 3]).is_err(), "{place}");
    });
}
