//! The lanes on a curve of 199 points, where every exceptional case is common: on y^2 = x^3 + 4 over the same field, which
//! the formulas cannot tell from secp256k1, there is a subgroup of that order. (So do libsecp256k1's exhaustive tests.)

use super::super::digits::{PointDigits, WINDOWS};
use super::super::field::FieldLanes;
use super::super::group::batch::add_pairs;
use super::super::group::complete::Point;
use super::super::group::{Affine, AffinePoint, Jacobian};
use super::super::platform::OnLanes;
use super::super::table::GeneratorTable;
use super::super::{Half, Platform, Scalar};
use super::multiply::Combination;
use super::{Inverter, LaneMask, Sums};

const ORDER: usize = 199;

/// What lambda is on it: beta x is the x coordinate of 92 times the point.
const LAMBDA: i128 = 92;

const SMALL_GENERATOR: AffinePoint = AffinePoint {
    x: [0xfb12_940c_9ea6_6c18, 0x3b01_7a7d_a808_c2f1, 0xa749_dd39_2b4f_b069, 0xfa7c_c9a7_0737_f2db],
    y: [0xcfe5_2572_7f05_01ed, 0x48df_246c_808d_ae72, 0x8732_bc91_1f3a_2868, 0x78ac_123a_5ed8_aef3],
};

/// The multiples of the generator by their factor; none for 0. They are made with the complete law alone, and found to be
/// 198 different points with their negatives among them where they should be.
fn multiples() -> Vec<Option<AffinePoint>> {
    let mut sum = Point::INFINITY;
    let mut multiples = vec![None];
    for _ in 1..ORDER {
        sum = sum.add(&SMALL_GENERATOR);
        multiples.push(sum.to_affine());
    }
    assert!(sum.add(&SMALL_GENERATOR).is_infinity());
    for (factor, multiple) in multiples.iter().enumerate().skip(1) {
        let multiple = multiple.expect("only 0 is at infinity");
        let opposite = multiples[ORDER - factor].expect("only 0 is at infinity");
        assert_eq!((multiple.x, multiple.y), (opposite.x, opposite.negated().y));
        let same = multiples.iter().flatten().filter(|other| other.x == multiple.x && other.y == multiple.y);
        assert_eq!(same.count(), 1);
    }
    multiples
}

fn coordinates(point: Option<AffinePoint>) -> Option<[[u64; 4]; 2]> {
    point.map(|point| [point.x, point.y])
}

/// Checks something in every form of the lanes that this machine has.
fn on_every_platform(check: impl OnLanes<Output = ()> + Copy) {
    for platform in Platform::available() {
        platform.run(check);
    }
}

#[test]
fn the_complete_law_adds_every_two_points() {
    let multiples = multiples();
    for (a, first) in multiples.iter().enumerate() {
        let point = first.map_or(Point::INFINITY, |first| Point::INFINITY.add(&first));
        assert_eq!(coordinates(point.double().to_affine()), coordinates(multiples[2 * a % ORDER]));
        for (b, second) in multiples.iter().enumerate().skip(1) {
            let sum = point.add(&second.expect("only 0 is at infinity"));
            assert_eq!(coordinates(sum.to_affine()), coordinates(multiples[(a + b) % ORDER]), "{a} + {b}");
        }
    }
    let times_lambda = SMALL_GENERATOR.times_lambda();
    assert_eq!(coordinates(Some(times_lambda)), coordinates(multiples[LAMBDA as usize]));
}

#[test]
fn lanes_add_every_two_points_or_say_that_they_cannot() {
    #[derive(Clone, Copy)]
    struct Check<'a>(&'a [Option<AffinePoint>]);
    impl OnLanes for Check<'_> {
        type Output = ();
        fn run<F: FieldLanes>(self) {
            let points: Vec<AffinePoint> = self.0.iter().skip(1).map(|point| point.expect("not 0")).collect();
            let pairs: Vec<(usize, usize)> = (1..ORDER).flat_map(|a| (1..ORDER).map(move |b| (a, b))).collect();
            let load = |pairs: &[(usize, usize)], which: fn(&(usize, usize)) -> usize| {
                Affine::<F>::load(|lane| &points[which(pairs.get(lane).unwrap_or(&(1, 1))) - 1])
            };
            // In Jacobian coordinates, z not being one.
            for pairs in pairs.chunks(F::LANES) {
                let mut sum = Jacobian::from_affine(&load(pairs, |pair| pair.0));
                sum.double_times(1);
                sum.add_affine(&load(pairs, |pair| pair.1));
                let zero = sum.z.zero_lanes();
                let rows = |value: &F| {
                    let mut rows = Vec::new();
                    value.store(|_, row| rows.push(row));
                    rows
                };
                let (x, y, z) = (rows(&sum.x), rows(&sum.y), rows(&sum.z));
                for (lane, (a, b)) in pairs.iter().enumerate() {
                    let exceptional = 2 * a % ORDER == *b || (2 * a + b) % ORDER == 0;
                    assert_eq!(zero >> lane & 1 == 1, exceptional, "2 {a} + {b}");
                    if !exceptional {
                        let one = |row| super::super::field::portable::Element::from_limbs(row);
                        let point = Point { x: one(x[lane]), y: one(y[lane]), z: one(z[lane]) };
                        assert_eq!(coordinates(point.to_affine()), coordinates(self.0[(2 * a + b) % ORDER]));
                    }
                }
            }
            // In affine coordinates, a whole block sharing one inversion.
            let mut block = Vec::new();
            for pairs in pairs.chunks(F::LANES) {
                block.extend([load(pairs, |pair| pair.0), load(pairs, |pair| pair.1)]);
            }
            let mut exceptional: Vec<LaneMask> = vec![0; block.len() / 2];
            assert_eq!(add_pairs(&mut block, 2, &mut Inverter::new(), &mut exceptional), 1);
            for (group, pairs) in pairs.chunks(F::LANES).enumerate() {
                block[group].store(|lane, sum| {
                    let Some((a, b)) = pairs.get(lane) else { return };
                    let one_x = a == b || a + b == ORDER;
                    assert_eq!(exceptional[group] >> lane & 1 == 1, one_x, "{a} + {b}");
                    if !one_x {
                        assert_eq!(coordinates(Some(sum)), coordinates(self.0[(a + b) % ORDER]), "{a} + {b}");
                    }
                });
            }
        }
    }
    on_every_platform(Check(&multiples()));
}

#[test]
fn sums_of_multiples_are_right_or_said_to_be_exceptional() {
    #[derive(Clone, Copy)]
    struct Check<'a>(&'a [Option<AffinePoint>]);
    impl OnLanes for Check<'_> {
        type Output = ();
        fn run<F: FieldLanes>(self) {
            // Windows of four bits: none of their digits is a multiple of 199.
            let table = GeneratorTable::new(&SMALL_GENERATOR, 4);
            let mut state = 0x9e37_79b9_7f4a_7c15_u64;
            let mut draw = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state
            };
            let (mut combinations, mut expected) = (Vec::new(), Vec::new());
            for round in 0..ORDER * 24 {
                let factor = 1 + round % (ORDER - 1);
                let point = self.0[factor].expect("not 0");
                // Few bits set as well as many: small sums meet on the way.
                let mut scalar = || {
                    let sparse = draw() % 2 == 0;
                    let mut byte = || (if sparse { draw() & draw() & draw() } else { draw() }).to_be_bytes()[0];
                    Scalar::from_be_bytes_reduced(&std::array::from_fn(|_| byte()))
                };
                let combination = Combination { generator_factor: scalar(), point_factor: scalar(), point };
                expected.push(combination.sums(&table, factor).map(|sum| coordinates(self.0[sum])));
                combinations.push(combination);
            }
            let mut met = [0; 2];
            let mut sums = Sums::<F>::default();
            for (combinations, expected) in combinations.chunks(97).zip(expected.chunks(97)) {
                sums.compute(combinations, &table);
                let affine = super::finish::to_affine(&mut sums);
                for (index, (combination, [in_lanes, single])) in combinations.iter().zip(expected).enumerate() {
                    assert_eq!(coordinates(combination.complete(&table).to_affine()), *single);
                    let exceptional = sums.is_single(index);
                    met[usize::from(exceptional)] += 1;
                    if !exceptional {
                        assert_eq!(coordinates(Some(affine[index])), *in_lanes);
                    }
                }
            }
            assert!(met[0] > 50 && met[1] > 1000, "{met:?}");
        }
    }
    on_every_platform(Check(&multiples()));
}

impl Combination {
    /// What the generator and the point, `factor` times the generator, add up to by the lanes' digits and by those of single items,
    /// by sums of integers. The two differ: what is one factor modulo n is not one modulo 199.
    fn sums(&self, table: &GeneratorTable, factor: usize) -> [usize; 2] {
        let order = ORDER as i128;
        let sum = |digits: &mut dyn Iterator<Item = i128>, width: usize| {
            let mut power = 1;
            digits.fold(0, |sum, digit| {
                let term = digit * power;
                power = (power << width) % order;
                (sum + term) % order
            })
        };
        let value = |digit: super::super::digits::Digit| {
            let odd = 2 * digit.index() as i128 + 1;
            if digit.is_negative() { -odd } else { odd }
        };
        let number = table.comb.number(self.generator_factor);
        let mut windows = (0..table.comb.windows()).map(|window| value(table.comb.digit(&number, window)));
        let generator = sum(&mut windows, table.comb.width);
        let PointDigits(halves) = PointDigits::new(self.point_factor);
        let odd = halves.map(|half: [_; WINDOWS]| sum(&mut half.into_iter().map(value), 5));
        let (first, second) = self.point_factor.glv_split();
        let magnitude = |half: Half| i128::try_from(half.magnitude % ORDER as u128).expect("below 199");
        let split = [first, second].map(|half| if half.negative { -magnitude(half) } else { magnitude(half) });
        [odd, split].map(|halves| {
            let total = generator + (halves[0] + halves[1] * LAMBDA) * factor as i128;
            usize::try_from(total.rem_euclid(order)).expect("below the order")
        })
    }
}

#[test]
fn digits_make_up_their_scalars() {
    let edges =
        [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::LAMBDA, -Scalar::LAMBDA, Scalar::from_u128(u128::MAX)];
    let mut scalars: Vec<Scalar> = edges.to_vec();
    let mut state = Scalar::from_u128(0x1234_5678_9abc_def1);
    for _ in 0..2000 {
        state = state * state + Scalar::LAMBDA;
        scalars.push(state);
    }
    for scalar in scalars {
        let value = |digit: super::super::digits::Digit| {
            let odd = Half { magnitude: 2 * digit.index() as u128 + 1, negative: digit.is_negative() };
            odd.to_scalar()
        };
        let sum = |digits: &[Scalar], width: usize| {
            digits.iter().rev().fold(Scalar::ZERO, |sum, digit| (0..width).fold(sum, |sum, _| sum + sum) + *digit)
        };
        let PointDigits(halves) = PointDigits::new(scalar);
        let [first, second] = halves.map(|half| sum(&half.map(value), 5));
        assert_eq!(first + second * Scalar::LAMBDA, scalar);
        for width in [4, 5, 8, 11, 12, 13] {
            let comb = super::super::digits::Comb::new(width);
            let number = comb.number(scalar);
            let digits: Vec<Scalar> = (0..comb.windows()).map(|window| value(comb.digit(&number, window))).collect();
            assert_eq!(sum(&digits, width), scalar, "{width}");
        }
    }
}
