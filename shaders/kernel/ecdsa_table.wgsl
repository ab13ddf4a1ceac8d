// The multiples of a lane's point P that are digits up to units: (a + b w) P for 11 pairs (a, b), all with one Z, which is taken for 1
// on a curve that is isomorphic to secp256k1.
//
// Each multiple is the one before it and a unit's, +-P, +-w P or +-w^2 P. Both have one Z all the way (co-Z addition; Meloni, WAIFI
// 2007), and w^j P differs from P in x alone. The multiples are short Eisenstein integers, of a norm far below n, and none is its
// next unit or minus that, so that no addition is exceptional, whatever P is.
// 10 (6 M + 2 S), then 11 (4 M + 1 S) to bring them to the last one's Z, and 11 M for the multiples by beta.

//#include "ecdsa/points"
//#include "group/endomorphism"
//#constant WORKGROUP_SIZE
//#constant TABLE_ENTRIES
//#constant TABLE_ENTRY_QUADS
//#constant UNIT_PATH

@group(0) @binding(0) var<storage, read> input: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4<u32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn ecdsa_table(@builtin(global_invocation_id) id: vec3<u32>) {
    let lane = id.x;
    if lane >= input[0].x {
        return;
    }
    var unit_x = load_fe(SLOT_POINT, lane);
    var unit_y = load_fe(SLOT_POINT + 2u, lane);
    var x = unit_x;
    var y = unit_y;
    store_fe(SLOT_TABLE, lane, x);
    store_fe(SLOT_TABLE + 6u, lane, y);
    for (var i = 1u; i < TABLE_ENTRIES; i++) {
        // The unit: its power of w, and whether it is negative.
        let unit = UNIT_PATH >> (3u * (i - 1u));
        let negative = (unit & 4u) != 0u;
        // Of X and Y the entry's less the unit's.
        let h = fe_mul_add(unit_x, minus_beta_power(unit & 3u), x);
        let r = fe_weak(fe_add(y, fe_select(fe_neg(unit_y), unit_y, negative)));
        let hh = fe_sqr(h);
        let v = fe_mul(x, hh);
        let hhh = fe_mul(h, hh);
        let minus_v = fe_neg(v);
        // The unit's X, with the new Z.
        let u = fe_weak(fe_sub(v, hhh));
        x = fe_sqr_add(r, fe_add(fe_add(minus_v, minus_v), hhh));
        unit_y = fe_mul(unit_y, hhh);
        y = fe_mul_add(r, fe_sub(u, x), fe_select(fe_neg(unit_y), unit_y, negative));
        unit_x = fe_mul(unit_x, hh);
        let slot = SLOT_TABLE + i * TABLE_ENTRY_QUADS;
        store_fe(slot, lane, x);
        // What takes the Z before to this one.
        store_fe(slot + 2u, lane, h);
        store_fe(slot + 6u, lane, y);
    }
    var z = fe_one();
    for (var k = 0u; k < TABLE_ENTRIES; k++) {
        let slot = SLOT_TABLE + (TABLE_ENTRIES - 1u - k) * TABLE_ENTRY_QUADS;
        let zz = fe_sqr(z);
        let entry_x = fe_mul(load_fe(slot, lane), zz);
        let entry_y = fe_mul(load_fe(slot + 6u, lane), fe_mul(zz, z));
        let h = load_fe(slot + 2u, lane);
        let first = k + 1u == TABLE_ENTRIES;
        z = fe_select(fe_mul(z, h), z, first);
        let beta_x = fe_mul(entry_x, fe_from_words(BETA));
        store_fe(slot, lane, entry_x);
        store_fe(slot + 2u, lane, beta_x);
        // 1 + beta + beta^2 = 0.
        store_fe(slot + 4u, lane, fe_neg(fe_weak(fe_add(entry_x, beta_x))));
        store_fe(slot + 6u, lane, entry_y);
    }
    store_fe(SLOT_SUM + 4u, lane, z);
}
