//! The randomised batch check: many claims R = g G + k Q, put to the test as one.
//!
//! With a random 128-bit coefficient a for each claim, all of them hold if the sum of a (R - g G - k Q) is the point at infinity;
//! where one does not, the sum is at infinity with probability 2^-128, since the group has prime order and every point is on the
//! curve (Bellare, Garay, Rabin, EUROCRYPT 1998; BIP-340, "Batch verification"). That needs coefficients which whoever made
//! the signatures cannot know: they come from the operating system's generator, anew for every batch.

use std::collections::HashMap;
use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::field::FieldLanes;
use super::field::portable::Element;
use super::group::{AffinePoint, GENERATOR};
use super::{Half, Scalar, multiscalar};

/// Keys a thread takes at a time to split their factors: a fiftieth of a millisecond.
const KEYS_PER_TASK: usize = 256;

/// R = g G + k Q, all of them public. The points are on the curve, with coordinates below p.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// R.
    pub(crate) ephemeral: AffinePoint,
    /// g.
    pub(crate) generator_factor: Scalar,
    /// Q.
    pub(crate) key: AffinePoint,
    /// k.
    pub(crate) key_factor: Scalar,
}

/// What is claimed of some items.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    /// For each item whether there is a claim to be made of it.
    pub(crate) made: Vec<bool>,
    /// The claims of those of which there is, in their order.
    pub(crate) claims: Vec<Claim>,
}

impl Claims {
    pub(crate) fn with_capacity(items: usize) -> Self {
        Self { made: Vec::with_capacity(items), claims: Vec::with_capacity(items) }
    }

    /// Appends an item; there is a claim to be made of it where all its points are on the curve.
    #[inline]
    pub(crate) fn push(&mut self, on_curve: [bool; 2], claim: impl FnOnce() -> Claim) {
        let made = on_curve == [true, true];
        self.made.push(made);
        if made {
            self.claims.push(claim());
        }
    }
}

/// A claim times its coefficient a.
pub(crate) struct Term {
    /// R.
    ephemeral: AffinePoint,
    /// a.
    coefficient: u128,
    /// a g.
    generator_factor: Scalar,
    /// Q.
    key: AffinePoint,
    /// a k.
    key_factor: Scalar,
}

/// Draws a coefficient for each claim; `None` where the operating system has no randomness to give.
pub(crate) fn weigh(claims: &[Claim]) -> Option<Vec<Term>> {
    let mut random = vec![0; claims.len() * size_of::<u128>()];
    getrandom::fill(&mut random).ok()?;
    let (coefficients, _) = random.as_chunks();
    Some(with_coefficients(claims, coefficients.iter().map(|bytes| u128::from_le_bytes(*bytes))))
}

/// Claims with coefficients that are given. Whoever can predict them can make false claims pass.
fn with_coefficients(claims: &[Claim], coefficients: impl Iterator<Item = u128>) -> Vec<Term> {
    let term = |(claim, coefficient): (&Claim, u128)| {
        let factor = Scalar::from_u128(coefficient);
        Term {
            ephemeral: claim.ephemeral,
            coefficient,
            generator_factor: factor * claim.generator_factor,
            key: claim.key,
            key_factor: factor * claim.key_factor,
        }
    };
    claims.iter().zip(coefficients).map(term).collect()
}

/// Claims with their coefficients, and every distinct key of theirs.
pub(crate) struct BatchEquation {
    /// In pieces, as they were weighed.
    terms: Vec<Vec<Term>>,
    /// Which of the keys each term has.
    numbers: Vec<usize>,
    keys: Vec<AffinePoint>,
}

impl BatchEquation {
    pub(crate) fn new(terms: Vec<Vec<Term>>) -> Self {
        let count = terms.iter().map(Vec::len).sum();
        let mut keys = Vec::new();
        let mut numbers = HashMap::with_capacity(count);
        let mut number = |term: &Term| {
            // With their x, one point has an odd y and one an even.
            *numbers.entry((term.key.x, term.key.y[0] & 1)).or_insert_with(|| {
                keys.push(term.key);
                keys.len() - 1
            })
        };
        let numbers = terms.iter().flatten().map(&mut number).collect();
        Self { terms, numbers, keys }
    }

    /// How many claims there are.
    pub(crate) const fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether the claims of a range hold, all of them; found by so many tasks for the threads of the pool this is called from.
    pub(crate) fn holds<F: FieldLanes>(&self, range: Range<usize>, tasks: usize) -> bool {
        let terms = self.terms.iter().flatten().zip(&self.numbers).skip(range.start).take(range.len());
        let mut points = Vec::with_capacity(3 * range.len() + 2);
        let mut halves = Vec::with_capacity(3 * range.len() + 2);
        let mut generator_factor = Scalar::ZERO;
        let mut key_factors = vec![Scalar::ZERO; self.keys.len()];
        for (term, number) in terms {
            points.push(term.ephemeral);
            halves.push(Half { magnitude: term.coefficient, negative: true });
            generator_factor += term.generator_factor;
            key_factors[*number] += term.key_factor;
        }
        let keys = self.keys.iter().zip(&key_factors).filter(|(_, factor)| !factor.is_zero());
        let keys: Vec<_> = keys.chain([(&GENERATOR, &generator_factor)]).collect();
        let (ephemerals, both) = (points.len(), points.len() + 2 * keys.len());
        points.resize(both, AffinePoint::INFINITY);
        halves.resize(both, Half::default());
        let (points_of_keys, _) = points[ephemerals..].as_chunks_mut();
        let (halves_of_keys, _) = halves[ephemerals..].as_chunks_mut();
        let split = keys.into_par_iter().with_min_len(KEYS_PER_TASK).zip(points_of_keys).zip(halves_of_keys);
        split.for_each(|(((point, factor), points), halves)| {
            *points = [*point, point.times_lambda()];
            *halves = factor.glv_split().into();
        });
        multiscalar::sum::<F>(&points, &halves, tasks).is_infinity()
    }
}

/// Whether a point with coordinates below p is on the curve: y² = x³ + 7.
pub(crate) fn is_on_curve(point: &AffinePoint) -> bool {
    let (x, y) = (Element::from_limbs(point.x), Element::from_limbs(point.y));
    y.square() == x.square() * x + Element::SEVEN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::group::complete::Point;
    use crate::arithmetic::platform::OnLanes;
    use crate::arithmetic::{Platform, ecdsa};

    fn point(factor: u64) -> AffinePoint {
        let sum = (0..factor).fold(Point::INFINITY, |sum, _| sum.add(&GENERATOR));
        sum.to_affine().expect("a small multiple of G")
    }

    fn claim(generator: u64, key: u64, factor: u64) -> Claim {
        Claim {
            ephemeral: point(generator + key * factor),
            generator_factor: Scalar::from_u128(generator.into()),
            key: point(key),
            key_factor: Scalar::from_u128(factor.into()),
        }
    }

    /// An equation of claims that were weighed in pieces of 16.
    fn weighed(claims: &[Claim]) -> BatchEquation {
        BatchEquation::new(claims.chunks(16).map(|claims| weigh(claims).unwrap()).collect())
    }

    fn holds(equation: &BatchEquation, range: Range<usize>) -> Vec<bool> {
        struct Holds<'a>(&'a BatchEquation, Range<usize>);
        impl OnLanes for Holds<'_> {
            type Output = [bool; 2];
            fn run<F: FieldLanes>(self) -> [bool; 2] {
                [1, 3].map(|tasks| self.0.holds::<F>(self.1.clone(), tasks))
            }
        }
        Platform::available().into_iter().flat_map(|platform| platform.run(Holds(equation, range.clone()))).collect()
    }

    #[test]
    fn true_claims_hold_and_one_false_claim_is_noticed_wherever_it_is() {
        let mut claims: Vec<Claim> = (0..40).map(|index| claim(index % 7, index % 5 + 1, index % 11 + 1)).collect();
        let equation = weighed(&claims);
        assert!(holds(&equation, 0..40).into_iter().all(|holds| holds));
        assert!(holds(&equation, 0..0).into_iter().all(|holds| holds));
        for place in [0, 17, 39] {
            let right = claims[place];
            claims[place].ephemeral = point(100);
            let equation = weighed(&claims);
            assert!(!holds(&equation, 0..40).into_iter().any(|holds| holds));
            assert!(holds(&equation, 0..place).into_iter().all(|holds| holds));
            assert!(!holds(&equation, place..place + 1).into_iter().any(|holds| holds));
            claims[place] = right;
        }
    }

    #[test]
    fn claims_that_cancel_under_known_coefficients_do_not_under_random_ones() {
        // 3 (R - 2 T) + 2 (R' + 3 T): both false, for T = G.
        let mut claims = [claim(5, 2, 3), claim(6, 3, 2)];
        claims[0].ephemeral = point(11 - 2);
        claims[1].ephemeral = point(12 + 3);
        let known = BatchEquation::new(vec![with_coefficients(&claims, [3, 2].into_iter())]);
        assert!(holds(&known, 0..2).into_iter().all(|holds| holds));
        let random = weighed(&claims);
        assert!(!holds(&random, 0..2).into_iter().any(|holds| holds));
    }

    #[test]
    fn coefficients_are_new_for_every_equation() {
        let claims = [claim(5, 2, 3); 2];
        let equations = [(); 2].map(|()| weighed(&claims));
        let coefficients: std::collections::BTreeSet<u128> = equations
            .iter()
            .flat_map(|equation| equation.terms.iter().flatten())
            .map(|term| term.coefficient)
            .collect();
        assert_eq!(coefficients.len(), 4);
    }

    #[test]
    fn keys_are_merged() {
        let claims: Vec<Claim> = (0..40).map(|index| claim(index, index % 3 + 1, 2)).collect();
        assert_eq!(weighed(&claims).keys.len(), 3);
    }

    #[test]
    fn points_off_the_curve_are_told() {
        assert!(is_on_curve(&GENERATOR));
        assert!(!is_on_curve(&AffinePoint { x: GENERATOR.y, y: GENERATOR.x }));
        assert!(!is_on_curve(&AffinePoint::INFINITY));
        let names = [ecdsa::Named::Uncompressed(GENERATOR)];
        assert_eq!(ecdsa::lift(Platform::detect(), &names).1, [true]);
    }
}
