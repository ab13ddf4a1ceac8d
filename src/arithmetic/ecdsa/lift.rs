//! Lift: from what names a point to the point, by square roots in lanes.

use super::super::field::portable::Element;
use super::super::field::{FieldLanes, Kernel, LaneMask, Limbs, square_root_candidates};
use super::super::group::GENERATOR;
use super::{AffinePoint, Named};

/// Square roots under way at a time, in vectors: a chain of squarings waits for itself.
const CHAINS: usize = 2;

/// The points named, and whether each is one of the curve's; in the place of one that is not stands the generator, so that
/// what follows works on points of the curve alone.
pub(crate) fn lift<F: FieldLanes>(names: &[Named]) -> (Vec<AffinePoint>, Vec<bool>) {
    let mut points = vec![GENERATOR; names.len()];
    let mut on_curve = vec![false; names.len()];
    let named_by_x = names.iter().filter(|name| matches!(name, Named::Compressed { .. })).count();
    let mut compressed = Vec::with_capacity(named_by_x);
    let mut uncompressed = Vec::with_capacity(names.len() - named_by_x);
    for (index, name) in names.iter().enumerate() {
        match name {
            Named::Compressed { x, .. } => compressed.push((index, *x)),
            Named::Uncompressed(point) => uncompressed.push((index, *point)),
        }
    }
    let found = |index: usize, x: Limbs, root: Limbs| {
        let Named::Compressed { y_is_odd, .. } = names[index] else { return };
        let negative = (-Element::from_limbs(root)).normalize().to_limbs();
        let y = if (root[0] & 1 == 1) == y_is_odd { root } else { negative };
        points[index] = AffinePoint { x, y };
        on_curve[index] = true;
    };
    if compressed.len() > F::LANES {
        F::outlined(Roots::<F, _, CHAINS> { items: &compressed, found, form: std::marker::PhantomData });
    } else {
        F::outlined(Roots::<F, _, 1> { items: &compressed, found, form: std::marker::PhantomData });
    }
    F::outlined(OnCurve::<F, _> {
        items: &uncompressed,
        found: |index: usize, point: AffinePoint| {
            points[index] = point;
            on_curve[index] = true;
        },
        form: std::marker::PhantomData,
    });
    (points, on_curve)
}

/// x^3 + 7. Magnitude 1.
#[inline(always)]
fn right_side<F: FieldLanes>(x: &F) -> F {
    x.square().mul(x).add(&F::splat(&Element::SEVEN.to_limbs())).carry()
}

/// Finds y for each x that has one.
struct Roots<'a, F, P, const CHAINS: usize> {
    items: &'a [(usize, Limbs)],
    /// Takes the item's index, x and a y, reduced.
    found: P,
    form: std::marker::PhantomData<F>,
}

impl<F: FieldLanes, P: FnMut(usize, Limbs, Limbs), const CHAINS: usize> Kernel for Roots<'_, F, P, CHAINS> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        for items in self.items.chunks(CHAINS * F::LANES) {
            let last = items.len() - 1;
            let mut squares = [F::splat(&Element::SEVEN.to_limbs()); CHAINS];
            for (chain, square) in squares.iter_mut().enumerate() {
                *square = right_side(&F::load(|lane| &items[(chain * F::LANES + lane).min(last)].1));
            }
            let roots = square_root_candidates(&squares);
            for (chain, (root, square)) in roots.iter().zip(&squares).enumerate() {
                let lanes = root.square().equal_lanes(square);
                root.store(|lane, root| {
                    if let Some((index, x)) = items.get(chain * F::LANES + lane)
                        && lanes >> lane & 1 == 1
                    {
                        (self.found)(*index, *x, root);
                    }
                });
            }
        }
    }
}

/// Finds the points that are on the curve.
struct OnCurve<'a, F, P> {
    items: &'a [(usize, AffinePoint)],
    found: P,
    form: std::marker::PhantomData<F>,
}

impl<F: FieldLanes, P: FnMut(usize, AffinePoint)> Kernel for OnCurve<'_, F, P> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        for items in self.items.chunks(F::LANES) {
            let last = items.len() - 1;
            let y = F::load(|lane| &items[lane.min(last)].1.y);
            let right = right_side(&F::load(|lane| &items[lane.min(last)].1.x));
            let lanes: LaneMask = y.square().equal_lanes(&right);
            for (lane, (index, point)) in items.iter().enumerate() {
                if lanes >> lane & 1 == 1 {
                    (self.found)(*index, *point);
                }
            }
        }
    }
}
