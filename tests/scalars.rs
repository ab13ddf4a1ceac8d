//! Scalars, the split by λ and the portable field agree with big integers.

use num_bigint::{BigInt, BigUint, Sign};
use phalanx::arithmetic::field::portable::{Element, PRIME};
use phalanx::arithmetic::{Half, ORDER, Scalar, SignedWindows};
use proptest::prelude::*;

fn order() -> BigUint {
    from_limbs(&ORDER)
}

fn from_limbs(limbs: &[u64]) -> BigUint {
    limbs.iter().rev().fold(BigUint::ZERO, |sum, limb| (sum << 64) + limb)
}

fn big(scalar: Scalar) -> BigUint {
    BigUint::from_bytes_be(&scalar.to_be_bytes())
}

fn bytes(number: &BigUint) -> [u8; 32] {
    let digits = number.to_bytes_be();
    let mut bytes = [0; 32];
    bytes[32 - digits.len()..].copy_from_slice(&digits);
    bytes
}

fn scalar(number: &BigUint) -> Scalar {
    Scalar::from_be_bytes(&bytes(number)).expect("below the order")
}

/// Limbs that are often all ones or all zeros, where carries are lost.
fn limb() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(0), 2 => Just(u64::MAX), 1 => Just(1), 4 => any::<u64>()]
}

fn limbs() -> impl Strategy<Value = [u64; 4]> {
    [limb(), limb(), limb(), limb()]
}

/// Scalars, those around 0, n / 2, n and the powers of two over-represented.
fn any_scalar() -> impl Strategy<Value = Scalar> {
    let near = (0_u32..256, 0_u32..5).prop_map(|(power, offset)| {
        let number = (BigUint::from(1_u32) << power) + order() * 2_u32 + offset - 2_u32;
        scalar(&(number % order()))
    });
    let edge = (0_u32..6, 0_u32..3).prop_map(|(part, offset)| {
        let number = order() * part / 5_u32 + order() + offset - 1_u32;
        scalar(&(number % order()))
    });
    let random = limbs().prop_map(|limbs| scalar(&(from_limbs(&limbs) % order())));
    prop_oneof![1 => near, 1 => edge, 4 => random]
}

fn signed(half: Half) -> BigInt {
    BigInt::from_biguint(if half.negative { Sign::Minus } else { Sign::Plus }, half.magnitude.into())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn ring_operations_are_those_of_integers(a in any_scalar(), b in any_scalar()) {
        prop_assert_eq!(big(a + b), (big(a) + big(b)) % order());
        prop_assert_eq!(big(a - b), (big(a) + order() - big(b)) % order());
        prop_assert_eq!(big(-a), (order() - big(a)) % order());
        prop_assert_eq!(big(a * b), big(a) * big(b) % order());
        prop_assert_eq!(a.is_zero(), big(a) == BigUint::ZERO);
        prop_assert_eq!(a.is_high(), big(a) > order() / 2_u32);
        prop_assert_eq!(scalar(&big(a)), a);
    }

    #[test]
    fn bytes_and_limbs_are_read_as_they_are_written(limbs in limbs()) {
        let number = from_limbs(&limbs);
        let bytes = bytes(&number);
        let expected = (number < order()).then(|| number.clone());
        prop_assert_eq!(Scalar::from_be_bytes(&bytes).map(big), expected.clone());
        prop_assert_eq!(Scalar::from_limbs(limbs).map(big), expected);
        prop_assert_eq!(big(Scalar::from_be_bytes_reduced(&bytes)), number % order());
    }

    #[test]
    fn halves_make_up_the_scalar(k in any_scalar()) {
        let (k1, k2) = k.glv_split();
        prop_assert_eq!(k1.to_scalar() + Scalar::LAMBDA * k2.to_scalar(), k);
    }

    #[test]
    fn digits_make_up_the_half(words in [limb(), limb()], negative in any::<bool>(), width in 1_u32..=16) {
        let half = Half { magnitude: u128::from(words[0]) | u128::from(words[1]) << 64, negative };
        let windows = SignedWindows::new(width);
        let digits: Vec<i32> = (0..windows.count()).map(|window| windows.digit(half, window)).collect();
        prop_assert!(digits.iter().all(|digit| digit.unsigned_abs() <= 1 << (width - 1)));
        let sum = digits.iter().rev().fold(BigInt::ZERO, |sum, digit| (sum << width) + digit);
        prop_assert_eq!(sum, signed(half));
        prop_assert_eq!(signed(half.negated()), -signed(half));
    }

    #[test]
    fn inverses_multiply_to_one(a in any_scalar()) {
        let product = a * a.invert();
        prop_assert_eq!(product, if a.is_zero() { Scalar::ZERO } else { Scalar::ONE });
    }

    #[test]
    fn a_batch_is_inverted_as_each_by_itself(scalars in proptest::collection::vec(any_scalar(), 0..20)) {
        let mut inverses = scalars.clone();
        Scalar::batch_invert(&mut inverses);
        prop_assert_eq!(inverses, scalars.into_iter().map(Scalar::invert).collect::<Vec<_>>());
    }
}

/// Elements of every form, also those from p on.
fn any_element() -> impl Strategy<Value = Element> {
    let near_prime =
        (0_u64..0x1_0000_03d1).prop_map(|offset| [PRIME[0].wrapping_add(offset), u64::MAX, u64::MAX, u64::MAX]);
    prop_oneof![1 => near_prime, 1 => (0_u64..4).prop_map(|small| [small, 0, 0, 0]), 6 => limbs()]
        .prop_map(Element::from_limbs)
}

fn residue(element: Element) -> BigUint {
    from_limbs(&element.to_limbs()) % prime()
}

fn prime() -> BigUint {
    from_limbs(&PRIME)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn field_operations_are_those_of_integers(a in any_element(), b in any_element()) {
        let (x, y) = (residue(a), residue(b));
        prop_assert_eq!(residue(a + b), (&x + &y) % prime());
        prop_assert_eq!(residue(a - b), (&x + prime() - &y) % prime());
        prop_assert_eq!(residue(-a), (prime() - &x) % prime());
        prop_assert_eq!(residue(a * b), &x * &y % prime());
        prop_assert_eq!(residue(a.square()), &x * &x % prime());
        prop_assert_eq!(residue(a.double()), &x * 2_u32 % prime());
        prop_assert_eq!(a == b, x == y);
        prop_assert_eq!(a.is_zero(), x == BigUint::ZERO);
        prop_assert_eq!(a.is_odd(), x.bit(0));
        prop_assert_eq!(from_limbs(&a.normalize().to_limbs()), x.clone());
        prop_assert_eq!(BigUint::from_bytes_be(&a.to_be_bytes()), x);
    }

    #[test]
    fn field_bytes_are_accepted_below_the_prime(limbs in limbs()) {
        let number = from_limbs(&limbs);
        let parsed = Element::from_be_bytes(&bytes(&number));
        prop_assert_eq!(parsed.map(residue), (number < prime()).then_some(number));
    }

    #[test]
    fn roots_and_inverses_are_what_they_claim(a in any_element()) {
        let product = a * a.invert();
        prop_assert_eq!(product, if a.is_zero() { Element::ZERO } else { Element::ONE });
        // Euler: a square to the power (p - 1) / 2 is 0 or 1.
        let is_square = residue(a).modpow(&((prime() - 1_u32) / 2_u32), &prime()) <= BigUint::from(1_u32);
        prop_assert_eq!(a.sqrt().is_some(), is_square);
        prop_assert!(a.sqrt().is_none_or(|root| root.square() == a));
        prop_assert!(a.square().sqrt().is_some_and(|root| root == a || root == -a));
    }

    #[test]
    fn a_batch_of_elements_is_inverted_as_each_by_itself(elements in proptest::collection::vec(any_element(), 0..20)) {
        let mut inverses = elements.clone();
        Element::batch_invert(&mut inverses);
        prop_assert_eq!(inverses, elements.into_iter().map(Element::invert).collect::<Vec<_>>());
    }
}

#[test]
fn beta_and_lambda_are_primitive_cube_roots_of_one() {
    assert_ne!(Element::BETA, Element::ONE);
    assert_eq!(Element::BETA * Element::BETA.square(), Element::ONE);
}

#[test]
fn lambda_is_a_primitive_cube_root_of_one() {
    assert_ne!(Scalar::LAMBDA, Scalar::ONE);
    assert_eq!(Scalar::LAMBDA * Scalar::LAMBDA * Scalar::LAMBDA, Scalar::ONE);
}

/// The constants of the split follow from the short basis of the lattice, and that is found by the extended Euclidean
/// algorithm (Guide to Elliptic Curve Cryptography, algorithm 3.74). Scalars where c1 or c2 sits next to a rounding boundary are
/// where an imprecise constant would show.
#[test]
fn the_split_rounds_to_the_nearest_lattice_point() {
    let order = BigInt::from(order());
    let lambda = BigInt::from(big(Scalar::LAMBDA));
    let [(a1, b1), (a2, b2)] = short_basis(&order, &lambda);
    for numerator in [&b2, &-&b1] {
        for boundary in 0..2000_u32 {
            // k with numerator k / n just above or below boundary + 1/2.
            let multiple = (BigInt::from(2 * boundary + 1) << (boundary % 64)) * &order;
            for offset in -2..=2 {
                let k = (&multiple / (numerator * 2) + offset) % &order;
                let magnitude = BigInt::magnitude(&((&k + &order) % &order)).clone();
                let k = scalar(&magnitude);
                let (k1, k2) = k.glv_split();
                assert_eq!(k1.to_scalar() + Scalar::LAMBDA * k2.to_scalar(), k);
                // Within half a basis vector each, and one more for the rounding of the constants.
                let slack = BigInt::from(1);
                assert!(signed(k1).magnitude() <= BigInt::magnitude(&((&a1 + &a2) / 2_u32 + &slack)));
                assert!(signed(k2).magnitude() <= BigInt::magnitude(&((&b2 - &b1) / 2_u32 + &slack)));
            }
        }
    }
}

fn short_basis(order: &BigInt, lambda: &BigInt) -> [(BigInt, BigInt); 2] {
    let root = order.sqrt();
    let (mut r, mut t) = ((order.clone(), lambda.clone()), (BigInt::ZERO, BigInt::from(1)));
    while r.1 >= root {
        let quotient = &r.0 / &r.1;
        r = (r.1.clone(), &r.0 - &quotient * &r.1);
        t = (t.1.clone(), &t.0 - &quotient * &t.1);
    }
    let first = (r.1.clone(), -&t.1);
    let quotient = &r.0 / &r.1;
    let next = (&r.0 - &quotient * &r.1, &t.0 - &quotient * &t.1);
    let length = |(a, b): &(BigInt, BigInt)| a * a + b * b;
    let candidates = [(r.0.clone(), -t.0), (next.0, -next.1)];
    let second = candidates.into_iter().min_by_key(length).expect("two candidates");
    // Signs as the split has them: a1, a2, b2 above zero and b1 below.
    let positive = |(a, b): (BigInt, BigInt)| if a.sign() == Sign::Minus { (-a, -b) } else { (a, b) };
    [positive(first), positive(second)]
}
