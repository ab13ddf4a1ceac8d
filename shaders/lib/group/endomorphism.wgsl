// The endomorphism w: (x, y) to (beta x, y), beta being a cube root of one in the field.

//#include "field/secp256k1"
//#constant BETA

// -(beta^power), power being 0, 1 or 2. Magnitude at most 2.
fn minus_beta_power(power: u32) -> Fe {
    let one = fe_one();
    let beta = fe_from_words(BETA);
    return fe_select(fe_select(fe_neg(one), fe_neg(beta), power == 1u), fe_add(one, beta), power == 2u);
}
