//! Eight field elements in AVX-512 IFMA: five limbs of 52 bits.
//!
//! `vpmadd52` multiplies the low 52 bits of its operands, so nothing may be above them: sums and differences are carried
//! before they are multiplied. Magnitude 1: the lower limbs are below 2^52, the top one below 2^48 + 2^9. Magnitude m:
//! limbs are below m times those. 2^260 is 2^36 + 15632 modulo p.
#![allow(
    unsafe_code,
    reason = "calls into AVX-512 code, and vector loads and stores; benches/lanes.rs measures the gain"
)]
#![allow(clippy::large_types_passed_by_value, reason = "vectors are registers, and what takes them is inlined")]

use std::arch::x86_64::{
    __m512i as V, _mm256_loadu_si256, _mm512_add_epi64 as add, _mm512_and_si512 as and, _mm512_castsi256_si512,
    _mm512_cmpeq_epi64_mask, _mm512_inserti64x4, _mm512_madd52hi_epu64 as high, _mm512_madd52lo_epu64 as low,
    _mm512_mask_blend_epi64, _mm512_or_si512 as or, _mm512_permutex2var_epi64, _mm512_set1_epi64 as splat,
    _mm512_setr_epi64, _mm512_setzero_si512 as zero, _mm512_slli_epi64 as shl, _mm512_srli_epi64 as shr,
    _mm512_storeu_si512, _mm512_sub_epi64 as sub, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use super::super::frame::{Aligned, align_frame};
use super::{FieldLanes, Kernel, LaneMask, Limbs, Magnitude};

/// The limbs of eight elements, least significant first.
type Vectors = [V; 5];

/// Eight field elements.
#[derive(Clone, Copy)]
pub(crate) struct Ifma {
    limbs: Vectors,
    magnitude: Magnitude,
}

/// Bits of a limb.
const BITS: u32 = 52;
const LIMB: i64 = (1 << BITS) - 1;
/// Bits of p's top limb.
const TOP_BITS: u32 = 48;
const TOP_LIMB: i64 = (1 << TOP_BITS) - 1;
/// 2^256 modulo p.
const FOLD_256: i64 = (1 << 32) + 977;
/// 2^260 modulo p.
const FOLD_260: i64 = FOLD_256 << 4;

impl Ifma {
    #[inline(always)]
    const fn new(limbs: Vectors, magnitude: Magnitude) -> Self {
        Self { limbs, magnitude }
    }
}

// SAFETY of every call below: the callee needs AVX-512 F and IFMA and nothing else, and a value of this form, or a call of
// its constructors, is there only where they were detected (see `FieldLanes`).
impl FieldLanes for Ifma {
    const LANES: usize = 8;
    const FEW: usize = 3;
    const BATCH_CHECK_THRESHOLD: usize = 96;

    #[inline(always)]
    fn outlined<K: Kernel>(kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512ifma")]
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
        // SAFETY: see above.
        Self::new(unsafe { splat_limbs(value) }, Magnitude::ONE)
    }

    #[inline(always)]
    fn load<'a>(row: impl Fn(usize) -> &'a Limbs) -> Self {
        // SAFETY: see above.
        let limbs = unsafe { load([row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)]) };
        Self::new(limbs, Magnitude::ONE)
    }

    #[inline(always)]
    fn store(&self, mut put: impl FnMut(usize, Limbs)) {
        self.magnitude.at_most(7);
        // SAFETY: see above.
        let rows = unsafe { store(&self.limbs) };
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
        self.carry()
    }

    #[inline(always)]
    fn mul(&self, other: &Self) -> Self {
        self.magnitude.max(other.magnitude).at_most(1);
        // SAFETY: see above.
        Self::new(unsafe { multiply(&self.limbs, &other.limbs) }, Magnitude::ONE)
    }

    #[inline(always)]
    fn square(&self) -> Self {
        self.magnitude.at_most(1);
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

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn add_limbs(a: &Vectors, b: &Vectors) -> Vectors {
    let mut sum = *a;
    for limb in 0..5 {
        sum[limb] = add(sum[limb], b[limb]);
    }
    sum
}

/// a - b + (M + 1) p, no limb of which is below b's.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn sub_limbs<const M: u32>(a: &Vectors, b: &Vectors) -> Vectors {
    let multiple = i64::from(M + 1);
    let bias =
        [(LIMB + 1 - FOLD_256) * multiple, LIMB * multiple, LIMB * multiple, LIMB * multiple, TOP_LIMB * multiple];
    let mut difference = *a;
    for limb in 0..5 {
        difference[limb] = add(difference[limb], sub(splat(bias[limb]), b[limb]));
    }
    difference
}

/// Limbs below 2^56 to magnitude 1, each handing its excess to the next in turn.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn carry(mut limbs: Vectors) -> Vectors {
    let mask = splat(LIMB);
    // What is above 256 bits is taken off first: what later carries add to the top limb it has room for.
    let excess = shr::<TOP_BITS>(limbs[4]);
    limbs[4] = and(limbs[4], splat(TOP_LIMB));
    limbs[0] = low(limbs[0], excess, splat(FOLD_256));
    for limb in 0..4 {
        limbs[limb + 1] = add(limbs[limb + 1], shr::<BITS>(limbs[limb]));
        limbs[limb] = and(limbs[limb], mask);
    }
    limbs
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline(never)]
fn multiply(a: &Vectors, b: &Vectors) -> Vectors {
    align_frame::<V>();
    // Two sums a column, of the low and the high halves of products, so that additions do not wait for each other.
    let (mut lows, mut highs) = ([zero(); 10], [zero(); 10]);
    for i in 0..5 {
        for j in 0..5 {
            lows[i + j] = low(lows[i + j], a[i], b[j]);
            highs[i + j + 1] = high(highs[i + j + 1], a[i], b[j]);
        }
    }
    for column in 0..10 {
        lows[column] = add(lows[column], highs[column]);
    }
    reduce(lows)
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline(never)]
fn square(a: &Vectors) -> Vectors {
    align_frame::<V>();
    square_inlined(a)
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn square_inlined(a: &Vectors) -> Vectors {
    // Each product of two different limbs counts twice; a doubled limb would not fit the multiplier.
    let (mut lows, mut highs) = ([zero(); 10], [zero(); 10]);
    for i in 0..5 {
        for j in i + 1..5 {
            lows[i + j] = low(lows[i + j], a[i], a[j]);
            highs[i + j + 1] = high(highs[i + j + 1], a[i], a[j]);
        }
    }
    for column in 0..10 {
        let once = add(lows[column], highs[column]);
        lows[column] = add(once, once);
    }
    for i in 0..5 {
        lows[2 * i] = low(lows[2 * i], a[i], a[i]);
        lows[2 * i + 1] = high(lows[2 * i + 1], a[i], a[i]);
    }
    reduce(lows)
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline(never)]
fn square_times<const K: usize>(elements: &mut [Ifma; K], times: usize) {
    align_frame::<V>();
    for _ in 0..times {
        for element in elements.iter_mut() {
            element.limbs = square_inlined(&element.limbs);
        }
    }
}

/// Ten columns below 2^56 to magnitude 1.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn reduce(mut columns: [V; 10]) -> Vectors {
    let fold = splat(FOLD_260);
    // The upper columns hand their excess on; their multiplication takes the low 52 bits by itself.
    for column in 5..9 {
        columns[column + 1] = add(columns[column + 1], shr::<BITS>(columns[column]));
    }
    // Factors below 2^257 leave less than 2^46 in the last.
    let mut limbs = [low(columns[0], columns[5], fold); 5];
    for limb in 1..5 {
        limbs[limb] = high(low(columns[limb], columns[limb + 5], fold), columns[limb + 4], fold);
    }
    // Below 2^31, at 2^260.
    let excess = high(zero(), columns[9], fold);
    limbs[0] = low(limbs[0], excess, fold);
    limbs[1] = high(limbs[1], excess, fold);
    carry(limbs)
}

/// The one representation below p, from magnitude at most 7.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn canonical(limbs: &Vectors) -> Vectors {
    let (mask, top_mask) = (splat(LIMB), splat(TOP_LIMB));
    // Less than 2^256 + 2^217, so less than 2 p.
    let limbs = carry(*limbs);
    // At least p exactly if adding 2^256 - p carries out of 256 bits.
    let mut reduced = limbs;
    reduced[0] = add(reduced[0], splat(FOLD_256));
    for limb in 0..4 {
        reduced[limb + 1] = add(reduced[limb + 1], shr::<BITS>(reduced[limb]));
        reduced[limb] = and(reduced[limb], mask);
    }
    let below = _mm512_cmpeq_epi64_mask(shr::<TOP_BITS>(reduced[4]), zero());
    reduced[4] = and(reduced[4], top_mask);
    for limb in 0..5 {
        reduced[limb] = _mm512_mask_blend_epi64(below, reduced[limb], limbs[limb]);
    }
    reduced
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn splat_limbs(value: &Limbs) -> Vectors {
    let [w0, w1, w2, w3] = *value;
    limbs_of([splat(w0.cast_signed()), splat(w1.cast_signed()), splat(w2.cast_signed()), splat(w3.cast_signed())])
}

/// Four columns of 64 bits to five limbs of 52.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn limbs_of([w0, w1, w2, w3]: [V; 4]) -> Vectors {
    let mask = splat(LIMB);
    [
        and(w0, mask),
        and(or(shr::<52>(w0), shl::<12>(w1)), mask),
        and(or(shr::<40>(w1), shl::<24>(w2)), mask),
        and(or(shr::<28>(w2), shl::<36>(w3)), mask),
        shr::<16>(w3),
    ]
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn load(rows: [&Limbs; 8]) -> Vectors {
    // SAFETY: a row is 32 bytes, and the load needs no alignment.
    let half = |row: usize| unsafe { _mm256_loadu_si256(std::ptr::from_ref(rows[row]).cast()) };
    // Row r beside row r + 4, so that transposing pairs of words leaves each column's lanes in order.
    let pair = |row: usize| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(half(row)), half(row + 4));
    let [a, b, c, d] = [pair(0), pair(1), pair(2), pair(3)];
    let (ab_low, ab_high) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
    let first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    let second = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    limbs_of([
        _mm512_permutex2var_epi64(ab_low, first, cd_low),
        _mm512_permutex2var_epi64(ab_high, first, cd_high),
        _mm512_permutex2var_epi64(ab_low, second, cd_low),
        _mm512_permutex2var_epi64(ab_high, second, cd_high),
    ])
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline(never)]
fn store(limbs: &Vectors) -> [Limbs; 8] {
    align_frame::<V>();
    let l = canonical(limbs);
    let words = [
        or(l[0], shl::<52>(l[1])),
        or(shr::<12>(l[1]), shl::<40>(l[2])),
        or(shr::<24>(l[2]), shl::<28>(l[3])),
        or(shr::<36>(l[3]), shl::<16>(l[4])),
    ];
    let mut columns = Aligned([[0; 8]; 4]);
    for (column, words) in columns.0.iter_mut().zip(words) {
        // SAFETY: a column is 64 bytes, and the store needs no alignment.
        unsafe { _mm512_storeu_si512(std::ptr::from_mut(column).cast(), words) };
    }
    std::array::from_fn(|lane| std::array::from_fn(|word| columns.0[word][lane]))
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn select(a: &Vectors, b: &Vectors, mask: LaneMask) -> Vectors {
    let mut selected = *a;
    for limb in 0..5 {
        selected[limb] = _mm512_mask_blend_epi64(mask, a[limb], b[limb]);
    }
    selected
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline(never)]
fn zero_lanes(limbs: &Vectors) -> LaneMask {
    align_frame::<V>();
    let mut any = zero();
    for limb in canonical(limbs) {
        any = or(any, limb);
    }
    _mm512_cmpeq_epi64_mask(any, zero())
}
