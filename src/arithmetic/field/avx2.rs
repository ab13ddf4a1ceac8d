//! Four field elements in AVX2: nine limbs of 29 bits, each in the low half of a 64-bit lane.
//!
//! Limbs have three bits to spare in the 32 that `vpmuludq` multiplies, so sums and differences go without carries.
//! Magnitude m: every limb is at most m (2^29 + 2^21). 2^261 is 2^37 + 31264 modulo p.
#![allow(unsafe_code, reason = "calls into AVX2 code, and vector loads and stores; benches/lanes.rs measures the gain")]
#![allow(clippy::large_types_passed_by_value, reason = "vectors are registers, and what takes them is inlined")]

use std::arch::x86_64::{
    __m256i as V, _mm256_add_epi64 as add, _mm256_and_si256 as and, _mm256_blendv_epi8, _mm256_castsi256_pd,
    _mm256_cmpeq_epi64, _mm256_loadu_si256, _mm256_movemask_pd, _mm256_mul_epu32 as mul, _mm256_or_si256 as or,
    _mm256_permute2x128_si256, _mm256_set1_epi64x as splat, _mm256_setr_epi64x, _mm256_setzero_si256,
    _mm256_slli_epi64 as shl, _mm256_srli_epi64 as shr, _mm256_storeu_si256, _mm256_sub_epi64 as sub,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
};

use super::super::frame::{Aligned, align_frame};
use super::{FieldLanes, Kernel, LaneMask, Limbs, Magnitude};

/// The limbs of four elements, least significant first.
type Vectors = [V; 9];

/// Four field elements.
#[derive(Clone, Copy)]
pub(crate) struct Avx2 {
    limbs: Vectors,
    magnitude: Magnitude,
}

/// Bits of a limb.
const BITS: i32 = 29;
const LIMB: i64 = (1 << BITS) - 1;
/// 2^261 modulo p is 2^37 + 31264: `FOLD` at limb 0, and 2^8 at limb 1.
const FOLD: i64 = 32 * 977;

impl Avx2 {
    #[inline(always)]
    const fn new(limbs: Vectors, magnitude: Magnitude) -> Self {
        Self { limbs, magnitude }
    }
}

// SAFETY of every call below: the callee needs AVX2 and nothing else, and a value of this form, or a call of its
// constructors, is there only where AVX2 was detected (see `FieldLanes`).
impl FieldLanes for Avx2 {
    const LANES: usize = 4;
    const FEW: usize = 3;
    const BATCH_CHECK_THRESHOLD: usize = 24;

    #[inline(always)]
    fn outlined<K: Kernel>(kernel: K) -> K::Output {
        #[target_feature(enable = "avx2")]
        #[inline(never)]
        fn run<K: Kernel>(kernel: K) -> K::Output {
            align_frame::<V>();
            kernel.run()
        }
        // SAFETY: see above.
        unsafe { run(kernel) }
    }

    #[inline(always)]
    fn splat(value: &Limbs) -> Self {
        Self::load(|_| value)
    }

    #[inline(always)]
    fn load<'a>(row: impl Fn(usize) -> &'a Limbs) -> Self {
        // SAFETY: see above.
        Self::new(unsafe { load([row(0), row(1), row(2), row(3)]) }, Magnitude::ONE)
    }

    #[inline(always)]
    fn store(&self, mut put: impl FnMut(usize, Limbs)) {
        self.magnitude.at_most(7);
        // SAFETY: see above.
        let Aligned(rows) = unsafe { store(&self.limbs) };
        for (lane, row) in rows.into_iter().enumerate() {
            put(lane, row);
        }
    }

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        let magnitude = self.magnitude.plus(other.magnitude).at_most(7);
        // SAFETY: see above.
        Self::new(unsafe { add_limbs(&self.limbs, &other.limbs) }, magnitude)
    }

    #[inline(always)]
    fn sub<const M: u32>(&self, other: &Self) -> Self {
        other.magnitude.at_most(M);
        let magnitude = self.magnitude.plus(Magnitude::new(M + 1)).at_most(7);
        // SAFETY: see above.
        Self::new(unsafe { sub_limbs::<M>(&self.limbs, &other.limbs) }, magnitude)
    }

    #[inline(always)]
    fn carry(&self) -> Self {
        self.magnitude.at_most(7);
        // SAFETY: see above.
        Self::new(unsafe { carry(self.limbs) }, Magnitude::ONE)
    }

    #[inline(always)]
    fn operand(&self) -> Self {
        self.magnitude.at_most(6);
        *self
    }

    #[inline(always)]
    fn mul(&self, other: &Self) -> Self {
        // Nine products a column, each below 2^58 (1 + 2^-7) times both magnitudes, stay below 2^64.
        self.magnitude.times(other.magnitude).at_most(6);
        // SAFETY: see above.
        Self::new(unsafe { multiply(&self.limbs, &other.limbs) }, Magnitude::ONE)
    }

    #[inline(always)]
    fn multiply_by(&mut self, factor: &Self) {
        self.magnitude.times(factor.magnitude).at_most(6);
        // SAFETY: see above.
        unsafe { multiply_by(&mut self.limbs, &factor.limbs) };
        self.magnitude = Magnitude::ONE;
    }

    #[inline(always)]
    fn copied(&self) -> Self {
        let [a, b, c, d, e, f, g, h, i] = self.limbs;
        Self::new([a, b, c, d, e, f, g, h, i], self.magnitude)
    }

    #[inline(always)]
    fn square(&self) -> Self {
        self.magnitude.at_most(2);
        // SAFETY: see above.
        Self::new(unsafe { square(&self.limbs) }, Magnitude::ONE)
    }

    #[inline(always)]
    fn square_times<const K: usize>(elements: &mut [Self; K], times: usize) {
        for element in elements.iter() {
            element.magnitude.at_most(1);
        }
        // SAFETY: see above.
        unsafe { square_times(elements, times) }
    }

    #[inline(always)]
    fn select(&self, other: &Self, mask: LaneMask) -> Self {
        // SAFETY: see above.
        Self::new(unsafe { select(&self.limbs, &other.limbs, mask) }, self.magnitude.max(other.magnitude))
    }

    #[inline(always)]
    fn zero_lanes(&self) -> LaneMask {
        self.magnitude.at_most(7);
        // SAFETY: see above.
        unsafe { zero_lanes(&self.limbs) }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn add_limbs(a: &Vectors, b: &Vectors) -> Vectors {
    let mut sum = *a;
    for limb in 0..9 {
        sum[limb] = add(sum[limb], b[limb]);
    }
    sum
}

/// a - b + (M + 1) 32 p, no limb of which is below b's.
#[target_feature(enable = "avx2")]
#[inline]
fn sub_limbs<const M: u32>(a: &Vectors, b: &Vectors) -> Vectors {
    // 32 p = 2^261 - 2^37 - 31264, its limbs as large as they get.
    let multiple = i64::from(M + 1);
    let bias = [(LIMB + 1 - FOLD) * multiple, (LIMB - (1 << 8)) * multiple, LIMB * multiple];
    let mut difference = *a;
    for limb in 0..9 {
        difference[limb] = add(difference[limb], sub(splat(bias[limb.min(2)]), b[limb]));
    }
    difference
}

/// Limbs below 2^32, each handing its excess to the next, all at once.
#[target_feature(enable = "avx2")]
#[inline]
fn carry(limbs: Vectors) -> Vectors {
    let mask = splat(LIMB);
    let mut carried = limbs;
    for limb in 1..9 {
        carried[limb] = add(and(limbs[limb], mask), shr::<BITS>(limbs[limb - 1]));
    }
    let excess = shr::<BITS>(limbs[8]);
    carried[0] = add(and(limbs[0], mask), mul(excess, splat(FOLD)));
    carried[1] = add(carried[1], shl::<8>(excess));
    carried
}

/// The sum of a[i] b[j] over the pairs i j.
macro_rules! sum {
    ($a:ident, $b:ident: $i:literal $j:literal) => { mul($a[$i], $b[$j]) };
    ($a:ident, $b:ident: $i:literal $j:literal, $($rest:tt)+) => {
        add(mul($a[$i], $b[$j]), sum!($a, $b: $($rest)+))
    };
}

/// The columns of a product. A macro, like the next, since a function of this size is inlined into none of its callers, and
/// what it returns to one that multiplies in place is then copied.
macro_rules! product {
    ($a:ident, $b:ident) => {{
        let c0 = sum!($a, $b: 0 0);
        let c1 = sum!($a, $b: 0 1, 1 0);
        let c2 = sum!($a, $b: 0 2, 1 1, 2 0);
        let c3 = sum!($a, $b: 0 3, 1 2, 2 1, 3 0);
        let c4 = sum!($a, $b: 0 4, 1 3, 2 2, 3 1, 4 0);
        let c5 = sum!($a, $b: 0 5, 1 4, 2 3, 3 2, 4 1, 5 0);
        let c6 = sum!($a, $b: 0 6, 1 5, 2 4, 3 3, 4 2, 5 1, 6 0);
        let c7 = sum!($a, $b: 0 7, 1 6, 2 5, 3 4, 4 3, 5 2, 6 1, 7 0);
        let c8 = sum!($a, $b: 0 8, 1 7, 2 6, 3 5, 4 4, 5 3, 6 2, 7 1, 8 0);
        let c9 = sum!($a, $b: 1 8, 2 7, 3 6, 4 5, 5 4, 6 3, 7 2, 8 1);
        let c10 = sum!($a, $b: 2 8, 3 7, 4 6, 5 5, 6 4, 7 3, 8 2);
        let c11 = sum!($a, $b: 3 8, 4 7, 5 6, 6 5, 7 4, 8 3);
        let c12 = sum!($a, $b: 4 8, 5 7, 6 6, 7 5, 8 4);
        let c13 = sum!($a, $b: 5 8, 6 7, 7 6, 8 5);
        let c14 = sum!($a, $b: 6 8, 7 7, 8 6);
        let c15 = sum!($a, $b: 7 8, 8 7);
        let c16 = sum!($a, $b: 8 8);
        [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16]
    }};
}

/// The columns of a square.
macro_rules! square {
    ($a:ident) => {{
        let mut d = *$a;
        for limb in &mut d {
            *limb = add(*limb, *limb);
        }
        let c0 = mul($a[0], $a[0]);
        let c1 = sum!(d, $a: 0 1);
        let c2 = add(sum!(d, $a: 0 2), mul($a[1], $a[1]));
        let c3 = sum!(d, $a: 0 3, 1 2);
        let c4 = add(sum!(d, $a: 0 4, 1 3), mul($a[2], $a[2]));
        let c5 = sum!(d, $a: 0 5, 1 4, 2 3);
        let c6 = add(sum!(d, $a: 0 6, 1 5, 2 4), mul($a[3], $a[3]));
        let c7 = sum!(d, $a: 0 7, 1 6, 2 5, 3 4);
        let c8 = add(sum!(d, $a: 0 8, 1 7, 2 6, 3 5), mul($a[4], $a[4]));
        let c9 = sum!(d, $a: 1 8, 2 7, 3 6, 4 5);
        let c10 = add(sum!(d, $a: 2 8, 3 7, 4 6), mul($a[5], $a[5]));
        let c11 = sum!(d, $a: 3 8, 4 7, 5 6);
        let c12 = add(sum!(d, $a: 4 8, 5 7), mul($a[6], $a[6]));
        let c13 = sum!(d, $a: 5 8, 6 7);
        let c14 = add(sum!(d, $a: 6 8), mul($a[7], $a[7]));
        let c15 = sum!(d, $a: 7 8);
        let c16 = mul($a[8], $a[8]);
        [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16]
    }};
}

#[target_feature(enable = "avx2")]
#[inline(never)]
fn multiply(a: &Vectors, b: &Vectors) -> Vectors {
    align_frame::<V>();
    reduce(product!(a, b))
}

#[target_feature(enable = "avx2")]
#[inline(never)]
fn multiply_by(a: &mut Vectors, b: &Vectors) {
    align_frame::<V>();
    *a = reduce(product!(a, b));
}

#[target_feature(enable = "avx2")]
#[inline(never)]
fn square(a: &Vectors) -> Vectors {
    align_frame::<V>();
    reduce(square!(a))
}

#[target_feature(enable = "avx2")]
#[inline(never)]
fn square_times<const K: usize>(elements: &mut [Avx2; K], times: usize) {
    align_frame::<V>();
    for _ in 0..times {
        for element in elements.iter_mut() {
            let limbs = &mut element.limbs;
            *limbs = reduce(square!(limbs));
        }
    }
}

/// Seventeen columns below 2^64 to nine limbs: below 2^29, only the third up to 2^29 + 2^20 + 2^9.
#[target_feature(enable = "avx2")]
#[inline]
fn reduce(mut columns: [V; 17]) -> Vectors {
    let (mask, fold) = (splat(LIMB), splat(FOLD));
    // The upper columns to limbs of 29 bits; what the last hands on is below 2^32.
    for column in 8..16 {
        columns[column + 1] = add(columns[column + 1], shr::<BITS>(columns[column]));
        columns[column] = and(columns[column], mask);
    }
    let last = shr::<BITS>(columns[16]);
    columns[16] = and(columns[16], mask);
    // 2^261 times them onto the lower ones.
    let mut limbs = [add(columns[0], mul(columns[9], fold)); 9];
    for limb in 1..9 {
        let upper = if limb == 8 { last } else { columns[limb + 9] };
        limbs[limb] = add(add(columns[limb], mul(upper, fold)), shl::<8>(columns[limb + 8]));
    }
    for limb in 0..8 {
        limbs[limb + 1] = add(limbs[limb + 1], shr::<BITS>(limbs[limb]));
        limbs[limb] = and(limbs[limb], mask);
    }
    // What is left at 2^261 is below 2^42, two limbs, and folds once more.
    let excess = add(shl::<8>(last), shr::<BITS>(limbs[8]));
    limbs[8] = and(limbs[8], mask);
    let (low, high) = (and(excess, mask), shr::<BITS>(excess));
    limbs[0] = add(limbs[0], mul(low, fold));
    limbs[1] = add(limbs[1], add(shl::<8>(low), mul(high, fold)));
    limbs[2] = add(limbs[2], shl::<8>(high));
    for limb in 0..2 {
        limbs[limb + 1] = add(limbs[limb + 1], shr::<BITS>(limbs[limb]));
        limbs[limb] = and(limbs[limb], mask);
    }
    limbs
}

/// The one representation below p with limbs of 29 bits, from limbs below 2^33.
#[target_feature(enable = "avx2")]
#[inline]
fn canonical(limbs: &Vectors) -> Vectors {
    let top_mask = splat((1 << 24) - 1);
    let mut limbs = *limbs;
    // What is above 256 bits is folded once; what carries bring up after that leaves less than 2^256 + 2^238.
    let excess = shr::<24>(limbs[8]);
    limbs[8] = and(limbs[8], top_mask);
    limbs[0] = add(limbs[0], mul(excess, splat(977)));
    limbs[1] = add(limbs[1], shl::<3>(excess));
    ripple(&mut limbs);
    // At least p, and below 2 p, exactly if adding 2^256 - p carries out of 256 bits.
    let mut reduced = limbs;
    reduced[0] = add(reduced[0], splat(977));
    reduced[1] = add(reduced[1], splat(1 << 3));
    ripple(&mut reduced);
    let below = _mm256_cmpeq_epi64(shr::<24>(reduced[8]), _mm256_setzero_si256());
    reduced[8] = and(reduced[8], top_mask);
    for limb in 0..9 {
        limbs[limb] = _mm256_blendv_epi8(reduced[limb], limbs[limb], below);
    }
    limbs
}

/// Carries from limb to limb; the last keeps what comes to it.
#[target_feature(enable = "avx2")]
#[inline]
fn ripple(limbs: &mut Vectors) {
    let mask = splat(LIMB);
    for limb in 0..8 {
        limbs[limb + 1] = add(limbs[limb + 1], shr::<BITS>(limbs[limb]));
        limbs[limb] = and(limbs[limb], mask);
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(rows: [&Limbs; 4]) -> Vectors {
    // SAFETY: a row is 32 bytes, and the load needs no alignment.
    let row = |row: usize| unsafe { _mm256_loadu_si256(std::ptr::from_ref(rows[row]).cast()) };
    let [w0, w1, w2, w3] = transposed([row(0), row(1), row(2), row(3)]);
    let mask = splat(LIMB);
    [
        and(w0, mask),
        and(shr::<29>(w0), mask),
        and(or(shr::<58>(w0), shl::<6>(w1)), mask),
        and(shr::<23>(w1), mask),
        and(or(shr::<52>(w1), shl::<12>(w2)), mask),
        and(shr::<17>(w2), mask),
        and(or(shr::<46>(w2), shl::<18>(w3)), mask),
        and(shr::<11>(w3), mask),
        shr::<40>(w3),
    ]
}

#[target_feature(enable = "avx2")]
#[inline(never)]
fn store(limbs: &Vectors) -> Aligned<[Limbs; 4]> {
    align_frame::<V>();
    let l = canonical(limbs);
    let words = [
        or(or(l[0], shl::<29>(l[1])), shl::<58>(l[2])),
        or(or(shr::<6>(l[2]), shl::<23>(l[3])), shl::<52>(l[4])),
        or(or(shr::<12>(l[4]), shl::<17>(l[5])), shl::<46>(l[6])),
        or(or(shr::<18>(l[6]), shl::<11>(l[7])), shl::<40>(l[8])),
    ];
    let mut rows = Aligned([[0; 4]; 4]);
    for (row, words) in rows.0.iter_mut().zip(transposed(words)) {
        // SAFETY: a row is 32 bytes, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(std::ptr::from_mut(row).cast(), words) };
    }
    rows
}

/// Rows to columns.
#[target_feature(enable = "avx2")]
#[inline]
fn transposed([a, b, c, d]: [V; 4]) -> [V; 4] {
    let (ab_low, ab_high) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    let (cd_low, cd_high) = (_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
    [
        _mm256_permute2x128_si256::<0x20>(ab_low, cd_low),
        _mm256_permute2x128_si256::<0x20>(ab_high, cd_high),
        _mm256_permute2x128_si256::<0x31>(ab_low, cd_low),
        _mm256_permute2x128_si256::<0x31>(ab_high, cd_high),
    ]
}

#[target_feature(enable = "avx2")]
#[inline]
fn select(a: &Vectors, b: &Vectors, mask: LaneMask) -> Vectors {
    let bits = _mm256_setr_epi64x(1, 2, 4, 8);
    let chosen = _mm256_cmpeq_epi64(and(splat(i64::from(mask)), bits), bits);
    let mut selected = *a;
    for limb in 0..9 {
        selected[limb] = _mm256_blendv_epi8(a[limb], b[limb], chosen);
    }
    selected
}

#[target_feature(enable = "avx2")]
#[inline(never)]
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "four bits")]
fn zero_lanes(limbs: &Vectors) -> LaneMask {
    align_frame::<V>();
    let mut any = _mm256_setzero_si256();
    for limb in canonical(limbs) {
        any = or(any, limb);
    }
    let zero = _mm256_cmpeq_epi64(any, _mm256_setzero_si256());
    _mm256_movemask_pd(_mm256_castsi256_pd(zero)) as LaneMask
}
