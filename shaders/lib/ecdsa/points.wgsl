// Field elements and points in a lane's slots: canonical numbers of eight words.

//#include "ecdsa/lane"
//#include "group/secp256k1"

fn load_fe(slot: u32, lane: u32) -> Fe {
    return fe_from_words(load_words(slot, lane));
}

// a: magnitude at most 7.
fn store_fe(slot: u32, lane: u32, a: Fe) {
    store_words(slot, lane, fe_to_words(a));
}

fn load_jacobian(slot: u32, lane: u32) -> Jacobian {
    return Jacobian(load_fe(slot, lane), load_fe(slot + 2u, lane), load_fe(slot + 4u, lane));
}

fn store_jacobian(slot: u32, lane: u32, a: Jacobian) {
    store_fe(slot, lane, a.x);
    store_fe(slot + 2u, lane, a.y);
    store_fe(slot + 4u, lane, a.z);
}
