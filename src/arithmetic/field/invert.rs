//! Inversion of many elements at the price of one (Montgomery's trick), in lanes.

use super::portable::Element;
use super::{FieldLanes, LaneMask, Limbs};

/// Independent chains of products: one's multiplications hide the latency of another's.
const CHAINS: usize = 2;

/// Lanes of [`CHAINS`] vectors, at most.
const MOST_LANES: usize = CHAINS * LaneMask::BITS as usize;

/// Vectors to be inverted together.
pub(crate) struct Inverter<F> {
    elements: Vec<F>,
    /// For each the product of those before it in its chain, and then its inverse.
    inverses: Vec<F>,
}

impl<F: FieldLanes> Inverter<F> {
    pub(crate) const fn new() -> Self {
        Self { elements: Vec::new(), inverses: Vec::new() }
    }

    /// Forgets what was inverted.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.elements.clear();
    }

    /// Appends a vector of magnitude 1.
    #[inline(always)]
    pub(crate) fn push(&mut self, element: F) {
        self.elements.push(element);
    }

    /// The inverses, in the order of what was pushed. Magnitude 1.
    #[inline(always)]
    pub(crate) fn inverses(&self) -> &[F] {
        &self.inverses
    }

    /// Inverts every lane of every vector pushed. Lanes that are zero are reported, by the vector's index, and taken for one.
    ///
    /// One zero makes the product of its lane zero, so they are looked for only where there is one, at the price of a
    /// test for each vector.
    #[inline(always)]
    pub(crate) fn invert(&mut self, mut zero: impl FnMut(usize, LaneMask)) {
        let one = F::splat(&Element::ONE.to_limbs());
        let mut products = self.multiply(one);
        if products.iter().any(|product| product.zero_lanes() != 0) {
            for (index, element) in self.elements.iter_mut().enumerate() {
                let lanes = element.zero_lanes();
                if lanes != 0 {
                    zero(index, lanes);
                    *element = element.select(&one, lanes);
                }
            }
            products = self.multiply(one);
        }
        invert_lanes(&mut products);
        for (index, (element, inverse)) in self.elements.iter().zip(&mut self.inverses).enumerate().rev() {
            let suffix = &mut products[index % CHAINS];
            inverse.multiply_by(suffix);
            suffix.multiply_by(element);
        }
    }

    /// The products before each element, in its chain, and those of the whole chains.
    #[inline(always)]
    fn multiply(&mut self, one: F) -> [F; CHAINS] {
        let mut products = [one; CHAINS];
        self.inverses.clear();
        self.inverses.reserve(self.elements.len());
        for (index, element) in self.elements.iter().enumerate() {
            let product = &mut products[index % CHAINS];
            self.inverses.push(*product);
            product.multiply_by(element);
        }
        products
    }
}

/// Inverts every lane of a few vectors, none zero, through one inversion of a single element.
#[inline(always)]
fn invert_lanes<F: FieldLanes>(vectors: &mut [F; CHAINS]) {
    let mut rows = [Element::ONE; MOST_LANES];
    for (chain, vector) in vectors.iter().enumerate() {
        vector.store(|lane, row| rows[chain * F::LANES + lane] = Element::from_limbs(row));
    }
    Element::batch_invert(&mut rows[..CHAINS * F::LANES]);
    let rows: [Limbs; MOST_LANES] = rows.map(Element::to_limbs);
    for (chain, vector) in vectors.iter_mut().enumerate() {
        *vector = F::load(|lane| &rows[chain * F::LANES + lane]);
    }
}
