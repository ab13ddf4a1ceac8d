//! Every form of the lanes computes what big integers compute.
//!
//! `PHALANX_DIFFERENTIAL` asks for that many operations of each form, and as many of the scalars, in place of
//! [`OPERATIONS`]; `benches/record` holds what a run of ten million said.

use num_bigint::BigUint;
use phalanx::arithmetic::field::portable::PRIME;
use phalanx::arithmetic::field::{FieldOperation, Limbs};
use phalanx::arithmetic::{ORDER, Platform, Scalar};

/// Operations of each form when nothing else is asked for.
const OPERATIONS: usize = 100_000;

/// Elements handed over together: no multiple of any number of lanes.
const BATCH: usize = 251;

fn operations() -> usize {
    let asked_for = std::env::var("PHALANX_DIFFERENTIAL").ok();
    asked_for.map_or(OPERATIONS, |count| count.parse().expect("PHALANX_DIFFERENTIAL is a number"))
}

/// Steele, Lea and Flood's generator, so that a run can be repeated.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below 2^256: often one around 0, `modulus` or 2^256, or one whose bits come in long runs, where carries are
    /// lost.
    fn number(&mut self, modulus: &Limbs) -> Limbs {
        match self.next() % 8 {
            0 => [self.next() % 4, 0, 0, 0],
            1 => {
                let mut near = *modulus;
                near[0] = near[0].wrapping_add(self.next() % 8).wrapping_sub(4);
                near
            }
            2 => [u64::MAX - self.next() % 4, u64::MAX, u64::MAX, u64::MAX],
            3 => std::array::from_fn(|_| [0, u64::MAX][(self.next() % 2) as usize]),
            4 => {
                let (from, to) = (self.next() % 257, self.next() % 257);
                let ones = (big_power(from.max(to)) - 1_u32) >> from.min(to) << from.min(to);
                limbs(&ones)
            }
            _ => std::array::from_fn(|_| self.next()),
        }
    }
}

fn big_power(bits: u64) -> BigUint {
    BigUint::from(1_u32) << bits
}

fn big(limbs: &Limbs) -> BigUint {
    limbs.iter().rev().fold(BigUint::ZERO, |sum, limb| (sum << 64) + limb)
}

fn limbs(number: &BigUint) -> Limbs {
    let mut limbs = [0; 4];
    for (limb, digit) in limbs.iter_mut().zip(number.iter_u64_digits()) {
        *limb = digit;
    }
    limbs
}

#[test]
fn field_operations_are_those_of_big_integers() {
    let prime = big(&PRIME);
    for platform in Platform::available() {
        let mut checked = 0;
        let mut stream = SplitMix(1);
        let rounds = operations().div_ceil(BATCH * FieldOperation::ALL.len());
        // The first is of one element.
        for round in 0..=rounds {
            let length = if round == 0 { 1 } else { BATCH };
            let a: Vec<Limbs> = (0..length).map(|_| stream.number(&PRIME)).collect();
            // One in eight is equal to a, or the other form of the same residue.
            let mut b = |a: &Limbs| match stream.next() % 16 {
                0 => *a,
                1 => limbs(&(big(a) % &prime)),
                _ => stream.number(&PRIME),
            };
            let b: Vec<Limbs> = a.iter().map(&mut b).collect();
            for operation in FieldOperation::ALL {
                let results = platform.field(operation, &a, &b);
                assert_eq!(results.len(), length);
                for ((a, b), result) in a.iter().zip(&b).zip(&results) {
                    let holds = holds(operation, &(big(a) % &prime), &(big(b) % &prime), &big(result), &prime);
                    assert!(holds, "{} {operation:?} of {a:x?} and {b:x?} is not {result:x?}", platform.name());
                    checked += 1;
                }
            }
        }
        println!("{}: {checked} field operations as big integers have them", platform.name());
        assert!(checked >= operations());
    }
}

/// Whether the operation gives `result`; a, b and the result are below p.
fn holds(operation: FieldOperation, a: &BigUint, b: &BigUint, result: &BigUint, prime: &BigUint) -> bool {
    let minus_b = || prime - b;
    let expected = match operation {
        FieldOperation::Add => a + b,
        FieldOperation::Subtract => a + minus_b(),
        FieldOperation::Negate => prime - a,
        FieldOperation::Multiply => a * b,
        FieldOperation::Square => a * a,
        FieldOperation::DifferenceOfSquares => a * a + minus_b() * b,
        FieldOperation::SquareOfMultiples => {
            let difference = a * 3_u32 + minus_b() * 4_u32;
            &difference * &difference
        }
        // The root squared is a or, p being 3 modulo 4, where a has no root, -a.
        FieldOperation::SquareRoot => {
            let square = result * result % prime;
            return square == *a || (square + a) % prime == BigUint::ZERO;
        }
        FieldOperation::Invert if *a == BigUint::ZERO => BigUint::from(1_u32),
        FieldOperation::Invert => return result < prime && result * a % prime == BigUint::from(1_u32),
        FieldOperation::Equal => BigUint::from(u32::from(a == b)),
    };
    expected % prime == *result
}

#[test]
fn scalar_operations_are_those_of_big_integers() {
    let order = big(&ORDER);
    let mut stream = SplitMix(2);
    let (mut checked, mut inverted) = (0, Vec::new());
    while checked < operations() {
        let (a, b) = (stream.number(&ORDER), stream.number(&ORDER));
        let reduced = |number: &Limbs| limbs(&(big(number) % &order));
        let (a, b) = (reduced(&a), reduced(&b));
        let [x, y] = [a, b].map(|limbs| Scalar::from_limbs(limbs).expect("reduced"));
        let (a, b) = (big(&a), big(&b));
        let results = [
            (x + y, &a + &b),
            (x - y, &a + (&order - &b)),
            (x * y, &a * &b),
            (-x, &order - &a),
            (Scalar::from_be_bytes_reduced(&x.to_be_bytes()), a.clone()),
        ];
        for (result, expected) in results {
            assert_eq!(big(&result.to_limbs()), expected % &order, "of {a:x} and {b:x}");
            checked += 1;
        }
        let (first, second) = x.glv_split();
        assert_eq!(first.to_scalar() + second.to_scalar() * Scalar::LAMBDA, x);
        inverted.push(x);
        checked += 1;
        if inverted.len() == BATCH {
            let mut inverses = inverted.clone();
            Scalar::batch_invert(&mut inverses);
            for (x, inverse) in inverted.drain(..).zip(inverses) {
                let expected = if x.is_zero() { Scalar::ZERO } else { Scalar::ONE };
                assert_eq!(x * inverse, expected);
                checked += 1;
            }
        }
    }
    println!("{checked} scalar operations as big integers have them");
}
