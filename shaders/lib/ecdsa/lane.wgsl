// What a lane keeps between kernels, in `scratch`, which the kernel binds: slots of four words. Lanes lie together in tiles, so that
// neighbours read neighbouring words, and what one tile needs is near.

//#include "words"
//#constant SCRATCH_TILE
//#constant SCRATCH_QUADS
//#constant SLOT_STATE
//#constant SLOT_BASE
//#constant SLOT_POINT
//#constant SLOT_DIGITS
//#constant SLOT_SUM
//#constant SLOT_RESULT
//#constant SLOT_PREFIX
//#constant SLOT_TABLE

// What is known of a lane.
struct State {
    // Zero, or the reason why it is invalid.
    reason: u32,
    // FLAG_…
    flags: u32,
    // The reason if its x coordinate names no point.
    no_point: u32,
    // The place of the most significant digit.
    top: u32,
}

// The fixed base's part of the sum is subtracted.
const FLAG_BASE_NEGATIVE: u32 = 1u;
// y is the odd root.
const FLAG_ODD: u32 = 2u;
// y is given.
const FLAG_Y_GIVEN: u32 = 4u;

fn slot_at(slot: u32, lane: u32) -> u32 {
    return (lane / SCRATCH_TILE * SCRATCH_QUADS + slot) * SCRATCH_TILE + lane % SCRATCH_TILE;
}

fn load_words(slot: u32, lane: u32) -> Words {
    return words_of_quads(scratch[slot_at(slot, lane)], scratch[slot_at(slot + 1u, lane)]);
}

fn store_words(slot: u32, lane: u32, words: Words) {
    scratch[slot_at(slot, lane)] = words_low(words);
    scratch[slot_at(slot + 1u, lane)] = words_high(words);
}

fn load_state(lane: u32) -> State {
    let quad = scratch[slot_at(SLOT_STATE, lane)];
    return State(quad.x, quad.y, quad.z, quad.w);
}

fn store_state(lane: u32, state: State) {
    scratch[slot_at(SLOT_STATE, lane)] = vec4(state.reason, state.flags, state.no_point, state.top);
}
