// The group of secp256k1, y^2 = x^3 + 7, and of the curves y^2 = x^3 + b that it is isomorphic to: no formula here but
// `ge_lift` names b.
//
// Points are in Jacobian coordinates, x = X / Z^2 and y = Y / Z^3, all of magnitude 1. The order is an odd prime, so that doubling has
// no exceptional case. Adding has: see `ge_add_affine`.

//#include "field/secp256k1"

struct Jacobian {
    x: Fe,
    y: Fe,
    z: Fe,
}

struct Affine {
    x: Fe,
    y: Fe,
}

// x^3 + 7. x: magnitude 1; result: magnitude 1. 1 M + 1 S.
fn ge_curve(x: Fe) -> Fe {
    return fe_mul_add(fe_sqr(x), x, fe_from_words(words_small(7u)));
}

// 2a; Z = 0 stays Z = 0. With L = 3/2 X^2 and V = X Y^2: X' = L^2 - 2V, Y' = L (V - X') - Y^4, Z' = Y Z. 3 M + 4 S.
fn ge_double(a: Jacobian) -> Jacobian {
    let z = fe_mul(a.y, a.z);
    let s = fe_sqr(a.y);
    let l = fe_mul_small(fe_half(fe_sqr(a.x)), 3u);
    let v = fe_mul(a.x, s);
    let minus_v = fe_neg(v);
    let x = fe_sqr_add(l, fe_add(minus_v, minus_v));
    let y = fe_mul_add(l, fe_sub(v, x), fe_neg(fe_sqr(s)));
    return Jacobian(x, y, z);
}

// a + b for b != a, -a and neither at infinity. b.x: magnitude 1; b.y: magnitude at most 3.
// For b = a and b = -a, H is zero and so is Z of the result; it stays zero through whatever follows here and in `ge_double`. So a
// sum of many whose Z is zero at the end is either at infinity or met an exceptional case on its way; one whose Z is not zero is right.
// 8 M + 3 S.
fn ge_add_affine(a: Jacobian, b: Affine) -> Jacobian {
    let zz = fe_sqr(a.z);
    let h = fe_mul_add(b.x, zz, fe_neg(a.x));
    let r = fe_mul_add(fe_mul(b.y, a.z), zz, fe_neg(a.y));
    let hh = fe_sqr(h);
    let hhh = fe_mul(h, hh);
    let v = fe_mul(a.x, hh);
    let minus_v = fe_neg(v);
    let x = fe_sqr_add(r, fe_add(fe_neg(hhh), fe_add(minus_v, minus_v)));
    let y = fe_mul_add(r, fe_sub(v, x), fe_neg(fe_mul(a.y, hhh)));
    return Jacobian(x, y, fe_mul(a.z, h));
}

// The second where `second` says so.
fn ge_select(a: Jacobian, b: Jacobian, second: bool) -> Jacobian {
    return Jacobian(fe_select(a.x, b.x, second), fe_select(a.y, b.y, second), fe_select(a.z, b.z, second));
}
