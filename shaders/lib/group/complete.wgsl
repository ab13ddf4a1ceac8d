// Addition without exceptional cases, in homogeneous coordinates: x = X / Z, y = Y / Z, and (0 : 1 : 0) at infinity.

//#include "group/secp256k1"

// The same point in homogeneous coordinates, for one that is not at infinity. 2 M + 1 S.
fn ge_homogeneous(a: Jacobian) -> Jacobian {
    return Jacobian(fe_mul(a.x, a.z), a.y, fe_mul(fe_sqr(a.z), a.z));
}

// And back, with Z = 0 at infinity. 2 M + 1 S.
fn ge_jacobian(a: Jacobian) -> Jacobian {
    return Jacobian(fe_mul(a.x, a.z), fe_mul(a.y, fe_sqr(a.z)), a.z);
}

// a + b, whatever they are, but for b, which is not at infinity: algorithm 8 of Renes, Costello and Batina, "Complete addition formulas
// for prime order elliptic curves" (EUROCRYPT 2016), with 3 b = 21. a: homogeneous, magnitude 1; b.x: magnitude 1; b.y: magnitude at
// most 2. 11 M.
fn ge_add_complete(a: Jacobian, b: Affine) -> Jacobian {
    let t0 = fe_mul(a.x, b.x);
    let t1 = fe_mul(b.y, a.y);
    let cross = fe_mul_add(fe_weak(fe_add(b.y, b.x)), fe_add(a.x, a.y), fe_add(fe_neg(t0), fe_neg(t1)));
    let t4 = fe_mul_add(b.y, a.z, a.y);
    let s = fe_mul_small(fe_mul_add(b.x, a.z, a.x), 21u);
    let triple = fe_mul_small(t0, 3u);
    let t2 = fe_mul_small(a.z, 21u);
    let z = fe_weak(fe_add(t1, t2));
    let t = fe_weak(fe_sub(t1, t2));
    let x = fe_mul_add(cross, t, fe_neg(fe_mul(t4, s)));
    let y = fe_mul_add(t, z, fe_mul(s, triple));
    return Jacobian(x, y, fe_mul_add(z, t4, fe_mul(triple, cross)));
}
