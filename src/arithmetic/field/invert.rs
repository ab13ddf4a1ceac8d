//! Inversion of many elements at the price of one (Montgomery's trick), in lanes.

use super::portable::Element;
use super::{FieldLanes, LaneMask, Limbs};

/// Independent chains of products: one's multiplications hide the latency of another's.
const CHAINS: usize = 2;

/// Lanes of [`CHAINS`] vectors, at most.
const MOST_LANES: usize = CHAINS * LaneMask::BITS as usize;

/// Vectors to be inverted together.
pub(crate) struct Inverter<F> {
    /// Rows of what was pushed, and after them whatever is left of earlier ones.
    rows: Vec<Row<F>>,
    /// How many were pushed.
    length: usize,
    /// The products of all elements of each chain.
    products: [F; CHAINS],
}

/// A vector, and what there is of it.
#[derive(Clone, Copy)]
struct Row<F> {
    element: F,
    /// The product of the elements before it in its chain, and then its inverse.
    inverse: F,
}

impl<F: FieldLanes> Inverter<F> {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), length: 0, products: [Self::one(); CHAINS] }
    }

    #[inline(always)]
    fn one() -> F {
        F::splat(&Element::ONE.to_limbs())
    }

    /// Forgets what was inverted.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.length = 0;
        self.products = [Self::one(); CHAINS];
    }

    /// Appends a vector of magnitude 1, which is made in its place.
    #[inline(always)]
    pub(crate) fn push(&mut self, element: impl FnOnce() -> F) {
        if self.length == self.rows.len() {
            self.grow();
        }
        let (row, product) = (&mut self.rows[self.length], &mut self.products[self.length % CHAINS]);
        row.element = element();
        row.inverse = product.copied();
        product.multiply_by(&row.element);
        self.length += 1;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let row = Row { element: Self::one(), inverse: Self::one() };
        self.rows.resize((2 * self.rows.len()).max(64), row);
    }

    /// The inverse of the vector that was pushed after `index` others. Magnitude 1.
    #[inline(always)]
    pub(crate) fn inverse(&self, index: usize) -> &F {
        &self.rows[index].inverse
    }

    /// Inverts every lane of every vector pushed. Lanes that are zero are reported, by the vector's index, and taken for one.
    ///
    /// One zero makes the product of its lane zero, so they are looked for only where there is one, at the price of a
    /// test for each vector.
    #[inline(always)]
    pub(crate) fn invert(&mut self, mut zero: impl FnMut(usize, LaneMask)) {
        if self.products.iter().any(|product| product.zero_lanes() != 0) {
            self.products = [Self::one(); CHAINS];
            for (index, Row { element, inverse }) in self.rows[..self.length].iter_mut().enumerate() {
                let lanes = element.zero_lanes();
                if lanes != 0 {
                    zero(index, lanes);
                    *element = element.select(&Self::one(), lanes);
                }
                let product = &mut self.products[index % CHAINS];
                *inverse = product.copied();
                product.multiply_by(element);
            }
        }
        invert_lanes(&mut self.products);
        for (index, Row { element, inverse }) in self.rows[..self.length].iter_mut().enumerate().rev() {
            let suffix = &mut self.products[index % CHAINS];
            inverse.multiply_by(suffix);
            suffix.multiply_by(element);
        }
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
