// The last word of a lane's answer, by which the host knows the answer for that lane's and for whole: a mix of the lane's number,
// the sum of its input's words as the kernel read them, and the answer. Each step is a bijection of what it mixes in, so that one
// changed word always shows.

// status: the answer's first word; words: what follows it.
fn lane_tag(lane: u32, input_sum: u32, status: u32, words: array<u32, 8>) -> u32 {
    let before = lane_tag_mix(lane_tag_mix(lane_tag_mix(0u, lane), input_sum), status);
    let half = lane_tag_mix(lane_tag_mix(lane_tag_mix(lane_tag_mix(before, words[0]), words[1]), words[2]), words[3]);
    return lane_tag_mix(lane_tag_mix(lane_tag_mix(lane_tag_mix(half, words[4]), words[5]), words[6]), words[7]);
}

// An odd factor and a shift that spreads the high bits: for each word a permutation of the tags, for each tag one of the words.
fn lane_tag_mix(tag: u32, word: u32) -> u32 {
    let product = (tag ^ word) * 0x9e3779b1u;
    return product ^ (product >> 15u);
}
