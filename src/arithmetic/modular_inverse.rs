//! Inversion modulo an odd number of at most 256 bits, by division steps: what the field and the scalars are inverted by.
//!
//! The algorithm is Bernstein and Yang's ("Fast constant-time gcd computation and modular inversion", CHES 2019) in the variable
//! time form of libsecp256k1 (`doc/safegcd_implementation.md`, by Wuille): 62 steps at a time are found from the low words of f
//! and g alone, as a matrix that is then applied to the whole numbers. It takes a third of the time of a power by Fermat's
//! theorem.

use super::limbs::low;

/// A number in two's complement: five limbs of 62 bits, the lowest first; all but the last are from 0 to 2^62 - 1.
type Signed62 = [i64; 5];

const MASK: i64 = (1 << 62) - 1;

/// What inverses are modulo of.
pub(crate) struct Modulus {
    limbs: Signed62,
    /// The modulus's inverse modulo 2^62.
    inverse: i64,
}

/// 62 division steps take (f, g) to (u f + v g, q f + r g) / 2^62.
struct Transition {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

impl Modulus {
    /// An odd number above 1, little-endian limbs.
    pub(crate) const fn new(limbs: [u64; 4]) -> Self {
        let limbs = split(limbs);
        // Newton's iteration doubles the bits that are right; an odd number is its own inverse modulo 8.
        let mut inverse = limbs[0];
        let mut bits = 3;
        while bits < 62 {
            inverse = inverse.wrapping_mul(2_i64.wrapping_sub(limbs[0].wrapping_mul(inverse)));
            bits *= 2;
        }
        Self { limbs, inverse: inverse & MASK }
    }

    /// The inverse of a number below the modulus and without a common factor; that of 0 is 0.
    pub(crate) fn invert(&self, a: [u64; 4]) -> [u64; 4] {
        // d a = f and e a = g modulo the modulus, all along.
        let (mut d, mut e) = ([0; 5], [1, 0, 0, 0, 0]);
        let (mut f, mut g) = (self.limbs, split(a));
        // Limbs of f and g that are not just their sign.
        let mut length = 5;
        // -delta of the paper.
        let mut eta = -1;
        loop {
            let (transition, next) = divide(eta, f[0], g[0]);
            eta = next;
            self.apply_modulo(&transition, &mut d, &mut e);
            transition.apply(&mut f[..length], &mut g[..length]);
            if g[..length].iter().all(|limb| *limb == 0) {
                break;
            }
            let (last_f, last_g) = (f[length - 1], g[length - 1]);
            if length > 1 && last_f == last_f >> 63 && last_g == last_g >> 63 {
                // Their signs move into the limbs below.
                f[length - 2] |= last_f << 62;
                g[length - 2] |= last_g << 62;
                length -= 1;
            }
        }
        // f is the greatest common divisor, 1 or -1.
        join(self.reduced(d, f[length - 1] < 0))
    }

    /// Applies a transition to d and e, in ]-2 m, m[ before and after: a multiple of m makes the sums divisible by 2^62.
    #[inline(always)]
    fn apply_modulo(&self, transition: &Transition, d: &mut Signed62, e: &mut Signed62) {
        let &Transition { u, v, q, r } = transition;
        let (sign_d, sign_e) = (d[4] >> 63, e[4] >> 63);
        let (mut multiple_d, mut multiple_e) = ((u & sign_d) + (v & sign_e), (q & sign_d) + (r & sign_e));
        let (mut sum_d, mut sum_e) = (product(u, d[0]) + product(v, e[0]), product(q, d[0]) + product(r, e[0]));
        multiple_d -= self.inverse.wrapping_mul(word(sum_d)).wrapping_add(multiple_d) & MASK;
        multiple_e -= self.inverse.wrapping_mul(word(sum_e)).wrapping_add(multiple_e) & MASK;
        sum_d = (sum_d + product(self.limbs[0], multiple_d)) >> 62;
        sum_e = (sum_e + product(self.limbs[0], multiple_e)) >> 62;
        for limb in 1..5 {
            let (old_d, old_e, modulus) = (d[limb], e[limb], self.limbs[limb]);
            sum_d += product(u, old_d) + product(v, old_e) + product(modulus, multiple_d);
            sum_e += product(q, old_d) + product(r, old_e) + product(modulus, multiple_e);
            d[limb - 1] = word(sum_d) & MASK;
            e[limb - 1] = word(sum_e) & MASK;
            sum_d >>= 62;
            sum_e >>= 62;
        }
        d[4] = word(sum_d);
        e[4] = word(sum_e);
    }

    /// A number in ]-2 m, m[, or that number negated, modulo m.
    fn reduced(&self, mut a: Signed62, negate: bool) -> Signed62 {
        self.add_if_negative(&mut a);
        if negate {
            a = a.map(i64::wrapping_neg);
        }
        carry(&mut a);
        self.add_if_negative(&mut a);
        carry(&mut a);
        a
    }

    fn add_if_negative(&self, a: &mut Signed62) {
        if a[4] < 0 {
            for (limb, modulus) in a.iter_mut().zip(self.limbs) {
                *limb += modulus;
            }
        }
    }
}

impl Transition {
    /// Applies it to f and g.
    #[inline(always)]
    fn apply(&self, f: &mut [i64], g: &mut [i64]) {
        let &Self { u, v, q, r } = self;
        // The low 62 bits of both sums are zero.
        let mut sum_f = (product(u, f[0]) + product(v, g[0])) >> 62;
        let mut sum_g = (product(q, f[0]) + product(r, g[0])) >> 62;
        let last = f.len() - 1;
        for limb in 1..=last {
            let (old_f, old_g) = (f[limb], g[limb]);
            sum_f += product(u, old_f) + product(v, old_g);
            sum_g += product(q, old_f) + product(r, old_g);
            f[limb - 1] = word(sum_f) & MASK;
            g[limb - 1] = word(sum_g) & MASK;
            sum_f >>= 62;
            sum_g >>= 62;
        }
        f[last] = word(sum_f);
        g[last] = word(sum_g);
    }
}

/// 62 division steps from the low words of f and g, several at a time: what they do, and eta after them.
#[inline(always)]
fn divide(mut eta: i64, f: i64, g: i64) -> (Transition, i64) {
    let (mut f, mut g) = (f.cast_unsigned(), g.cast_unsigned());
    let (mut u, mut v, mut q, mut r) = (1_u64, 0_u64, 0_u64, 1_u64);
    let mut left = 62_u32;
    loop {
        // While g is even a step halves it; a bit put above the steps that are left ends them there.
        let zeros = (g | u64::MAX << left).trailing_zeros();
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        eta -= i64::from(zeros);
        left -= zeros;
        if left == 0 {
            break;
        }
        // As many of g's low bits are made zero together as there are steps before f and g would change places again.
        let (multiple, most) = if eta < 0 {
            eta = -eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
            // -g / f modulo 2^6, 1 / f being f (2 - f^2) there.
            (f.wrapping_mul(g).wrapping_mul(f.wrapping_mul(f).wrapping_sub(2)), 63)
        } else {
            // -g / f modulo 2^4.
            (f.wrapping_add((f.wrapping_add(1) & 4) << 1).wrapping_neg().wrapping_mul(g), 15)
        };
        let limit = (eta + 1).min(i64::from(left));
        let multiple = multiple & u64::MAX >> (64 - limit) & most;
        g = g.wrapping_add(f.wrapping_mul(multiple));
        q = q.wrapping_add(u.wrapping_mul(multiple));
        r = r.wrapping_add(v.wrapping_mul(multiple));
    }
    let [u, v, q, r] = [u, v, q, r].map(u64::cast_signed);
    (Transition { u, v, q, r }, eta)
}

/// The whole product.
#[inline(always)]
const fn product(a: i64, b: i64) -> i128 {
    a as i128 * b as i128
}

/// The low word.
#[inline(always)]
const fn word(a: i128) -> i64 {
    low(a.cast_unsigned()).cast_signed()
}

/// Hands each limb's excess to the next.
fn carry(a: &mut Signed62) {
    for limb in 0..4 {
        a[limb + 1] += a[limb] >> 62;
        a[limb] &= MASK;
    }
}

const fn split([a, b, c, d]: [u64; 4]) -> Signed62 {
    [limb(a), limb(a >> 62 | b << 2), limb(b >> 60 | c << 4), limb(c >> 58 | d << 6), (d >> 56).cast_signed()]
}

/// The low 62 bits.
const fn limb(x: u64) -> i64 {
    x.cast_signed() & MASK
}

fn join(limbs: Signed62) -> [u64; 4] {
    let [a, b, c, d, e] = limbs.map(i64::cast_unsigned);
    [a | b << 62, b >> 2 | c << 60, c >> 4 | d << 58, d >> 6 | e << 56]
}
