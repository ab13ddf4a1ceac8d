// The seal of a lane's output: its last word, over all the words before it. A bit flipped, a lane swapped or an output left from
// an earlier dispatch breaks it.
//
// Each step is a bijection of the seal so far and of the word, so that one wrong word always shows; more than one goes unseen once
// in 2^32. `gpu/program.rs` computes the same.

// nonce: word 1 of the input's header, another for every dispatch.
@must_use
fn seal_start(nonce: u32, lane: u32) -> u32 {
    return seal_add(nonce, lane);
}

@must_use
fn seal_add(seal: u32, word: u32) -> u32 {
    let mixed = (seal ^ word) * 0x9e3779b1u;
    return mixed ^ (mixed >> 15u);
}
