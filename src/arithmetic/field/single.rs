//! The portable form as a form of [`FieldLanes`]: one lane, whose every operation reduces to below 2^256.

use super::portable::Element;
use super::{FieldLanes, Kernel, LaneMask, Limbs};

impl FieldLanes for Element {
    const LANES: usize = 1;
    const FEW: usize = 8;
    const BATCH_CHECK_THRESHOLD: usize = 24;

    #[inline(always)]
    fn outlined<K: Kernel>(kernel: K) -> K::Output {
        #[inline(never)]
        fn run<K: Kernel>(kernel: K) -> K::Output {
            kernel.run()
        }
        run(kernel)
    }

    #[inline(always)]
    fn splat(value: &Limbs) -> Self {
        Self::from_limbs(*value)
    }

    #[inline(always)]
    fn load<'a>(row: impl Fn(usize) -> &'a Limbs) -> Self {
        Self::from_limbs(*row(0))
    }

    #[inline(always)]
    fn store(&self, mut put: impl FnMut(usize, Limbs)) {
        put(0, self.normalize().to_limbs());
    }

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        *self + *other
    }

    #[inline(always)]
    fn sub<const M: u32>(&self, other: &Self) -> Self {
        *self - *other
    }

    #[inline(always)]
    fn carry(&self) -> Self {
        *self
    }

    #[inline(always)]
    fn operand(&self) -> Self {
        *self
    }

    #[inline(always)]
    fn mul(&self, other: &Self) -> Self {
        *self * *other
    }

    #[inline(always)]
    fn square(&self) -> Self {
        Self::square(*self)
    }

    #[inline(always)]
    fn square_times<const K: usize>(elements: &mut [Self; K], times: usize) {
        for _ in 0..times {
            for element in elements.iter_mut() {
                *element = Self::square(*element);
            }
        }
    }

    #[inline(always)]
    fn select(&self, other: &Self, mask: LaneMask) -> Self {
        if mask & 1 == 0 { *self } else { *other }
    }

    #[inline(always)]
    fn zero_lanes(&self) -> LaneMask {
        LaneMask::from(Self::is_zero(*self))
    }
}
