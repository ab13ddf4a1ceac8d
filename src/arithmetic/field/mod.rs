//! The base field of secp256k1, integers modulo p = 2^256 - 2^32 - 977, over a lane type.
//!
//! `FieldLanes` is a vector of field elements, one in each lane; everything above it is written once over that trait.
//! Its forms differ in lanes and limbs: `avx2`, four lanes of 9 x 29 bits; `ifma`, eight lanes of 5 x 52 bits;
//! [`portable`], one lane. Values are public, so branches and table indices may depend on them.
//!
//! Limbs are redundant. An element's *magnitude* bounds its limbs, each form states by what; 1 is what `mul`, `square` and
//! `carry` give, sums add magnitudes up. Debug builds carry the magnitude and assert every bound.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
mod bulk;
#[cfg(target_arch = "x86_64")]
pub(crate) mod ifma;
mod invert;
pub mod portable;
mod single;

pub use bulk::FieldOperation;
pub(crate) use invert::Inverter;

/// A number below 2^256, least significant limb first.
pub type Limbs = [u64; 4];

/// One bit for each lane, the first lane's lowest.
pub(crate) type LaneMask = u8;

/// Work that is compiled as a function of its own with a form's target features; see [`FieldLanes::outlined`].
pub(crate) trait Kernel {
    /// What it yields.
    type Output;
    /// Does it. Implementations are `inline(always)`, or the features would not reach their body.
    fn run(self) -> Self::Output;
}

/// Field elements, one in each lane.
///
/// A value of a form that needs target features exists only on a machine that has them: the forms are private to the
/// crate, and [`Platform`](super::Platform) names one only after detecting its features. What the forms' `unsafe` relies
/// on is this.
pub(crate) trait FieldLanes: Copy + Send + Sync + 'static {
    /// The number of lanes, at most eight.
    const LANES: usize;

    /// Items of a block that are as soon done one at a time, at most. Lanes that stay empty cost what full ones cost, and a block
    /// has inversions to itself: a vector takes as long as three items do by themselves (`2026-11-25-peers.csv` under
    /// `benches/record`, batches of 1 to 8).
    const FEW: usize;

    /// Items for each thread from which on they are put to a batch check: it takes a time for itself, however few the items are, and
    /// gains less by threads than the exact way. Where it begins to gain is no multiple of the threads exactly, nor the same for ECDSA
    /// and BIP-340; these are multiples at which it loses little where it loses
    /// (`batch-check.csv` under `benches/record`, 1 to 16 threads; the widest form was still behind at 64 items for each of 16).
    const BATCH_CHECK_THRESHOLD: usize;

    /// Calls `kernel`, not inlined, compiled with the features that the form needs.
    fn outlined<K: Kernel>(kernel: K) -> K::Output;

    /// `value`, below 2^256, in every lane. Magnitude 1.
    fn splat(value: &Limbs) -> Self;

    /// In each lane what `row` has for it, below 2^256. Magnitude 1.
    fn load<'a>(row: impl Fn(usize) -> &'a Limbs) -> Self;

    /// Each lane reduced modulo p. Any magnitude up to 7.
    fn store(&self, put: impl FnMut(usize, Limbs));

    /// The sum. The magnitudes, of at most 7 together, add up.
    fn add(&self, other: &Self) -> Self;

    /// The difference. `other` has magnitude at most M, itself at most 5; the result has M + 1 more than `self`, at most 7.
    fn sub<const M: u32>(&self, other: &Self) -> Self;

    /// The same elements with magnitude 1, from at most 7.
    fn carry(&self) -> Self;

    /// Makes an element of magnitude at most 6 fit to be multiplied by one of magnitude 1: nothing where the form's
    /// products have room for it, [`carry`](Self::carry) elsewhere.
    fn operand(&self) -> Self;

    /// The product, of magnitude 1. Takes magnitude 1, or for one factor what [`operand`](Self::operand) gives.
    fn mul(&self, other: &Self) -> Self;

    /// Becomes its product with a factor: [`mul`](Self::mul) in place, since a vector in memory takes long to move.
    #[inline(always)]
    fn multiply_by(&mut self, factor: &Self) {
        *self = self.mul(factor);
    }

    /// A copy. `Copy` makes one by a call of `memcpy` where a vector is longer than the compiler takes for short; such calls were a
    /// fourteenth of the time of a batch check's sum.
    #[inline(always)]
    fn copied(&self) -> Self {
        *self
    }

    /// The square, of magnitude 1, from magnitude 1.
    fn square(&self) -> Self;

    /// Each lane squared `times` times over, in place; several elements at a time, so that one's latency hides another's.
    fn square_times<const K: usize>(elements: &mut [Self; K], times: usize);

    /// `other` in the lanes of `mask`, `self` in the rest. The larger magnitude.
    fn select(&self, other: &Self, mask: LaneMask) -> Self;

    /// The lanes that are zero modulo p, from magnitude at most 7.
    fn zero_lanes(&self) -> LaneMask;

    /// Zero minus each lane, from magnitude at most M.
    #[inline(always)]
    fn neg<const M: u32>(&self) -> Self {
        Self::splat(&[0; 4]).sub::<M>(self)
    }

    /// The lanes in which the two are equal modulo p; magnitude 1 both.
    #[inline(always)]
    fn equal_lanes(&self, other: &Self) -> LaneMask {
        self.sub::<1>(other).zero_lanes()
    }
}

/// a^((p + 1) / 4) of several vectors at a time: a square root of each lane that has one, p being 3 modulo 4.
/// Magnitude 1, in and out.
///
/// The exponent has runs of 223, 22 and 2 ones. The chain is that of powers a^(2^k - 1) for k = 2, 3, 6, 9, 11, 22, 44, 88,
/// 176, 220, 223: 253 squarings, 13 multiplications.
#[inline(always)]
pub(crate) fn square_root_candidates<F: FieldLanes, const K: usize>(a: &[F; K]) -> [F; K] {
    let mut x2 = *a;
    square_multiply(&mut x2, 1, a);
    let mut x3 = x2;
    square_multiply(&mut x3, 1, a);
    let mut power = x3;
    square_multiply(&mut power, 3, &x3);
    square_multiply(&mut power, 3, &x3);
    square_multiply(&mut power, 2, &x2);
    let x11 = power;
    square_multiply(&mut power, 11, &x11);
    let x22 = power;
    square_multiply(&mut power, 22, &x22);
    let x44 = power;
    square_multiply(&mut power, 44, &x44);
    let x88 = power;
    square_multiply(&mut power, 88, &x88);
    square_multiply(&mut power, 44, &x44);
    square_multiply(&mut power, 3, &x3);
    // 223 ones, a zero, 22 ones, four zeros, two ones, two zeros.
    square_multiply(&mut power, 23, &x22);
    square_multiply(&mut power, 6, &x2);
    F::square_times(&mut power, 2);
    power
}

/// Becomes power^(2^times) multiplied by `factor`.
#[inline(always)]
fn square_multiply<F: FieldLanes, const K: usize>(power: &mut [F; K], times: usize, factor: &[F; K]) {
    F::square_times(power, times);
    for (power, factor) in power.iter_mut().zip(factor) {
        power.multiply_by(factor);
    }
}

/// A bound on an element's limbs, carried in debug builds only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Magnitude(#[cfg(debug_assertions)] u32);

impl Magnitude {
    pub(crate) const ONE: Self = Self::new(1);

    #[cfg_attr(not(debug_assertions), allow(unused_variables, reason = "release builds carry no magnitude"))]
    #[inline(always)]
    pub(crate) const fn new(magnitude: u32) -> Self {
        Self(
            #[cfg(debug_assertions)]
            magnitude,
        )
    }

    /// This one, checked against a limit.
    #[cfg_attr(not(debug_assertions), allow(unused_variables, reason = "release builds carry no magnitude"))]
    #[inline(always)]
    pub(crate) fn at_most(self, limit: u32) -> Self {
        #[cfg(debug_assertions)]
        assert!(self.0 <= limit, "magnitude {} where {limit} is allowed", self.0);
        self
    }

    #[cfg_attr(not(debug_assertions), allow(unused_variables, reason = "release builds carry no magnitude"))]
    #[inline(always)]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(
            #[cfg(debug_assertions)]
            {
                self.0 + other.0
            },
        )
    }

    #[cfg_attr(not(debug_assertions), allow(unused_variables, reason = "release builds carry no magnitude"))]
    #[inline(always)]
    pub(crate) fn times(self, other: Self) -> Self {
        Self(
            #[cfg(debug_assertions)]
            {
                self.0 * other.0
            },
        )
    }

    #[cfg_attr(not(debug_assertions), allow(unused_variables, reason = "release builds carry no magnitude"))]
    #[inline(always)]
    pub(crate) fn max(self, other: Self) -> Self {
        Self(
            #[cfg(debug_assertions)]
            {
                std::cmp::Ord::max(self.0, other.0)
            },
        )
    }
}
