//! Where frames, and what is in them, lie on the stack.

use std::hint::black_box;
use std::mem::MaybeUninit;

/// Has the frame of the function this is inlined into begin where a vector of type `V` may.
///
/// A function that keeps no vector in memory by itself gets a frame aligned to 16 bytes, and the compiler puts the vectors it runs
/// out of registers for there all the same. One of them may then lie across two pages, which costs tens of cycles each
/// time: without this, AVX2's field products and Keccak took a third and more than half longer at the worst of 64 positions
/// of their caller's stack, where a frame met the end of a page, and a tenth longer at one in three to five
/// (`2026-11-26-stack.csv` under `benches/record`).
#[inline(always)]
pub(crate) fn align_frame<V>() {
    black_box(&MaybeUninit::<V>::uninit());
}

/// Words that vectors are stored to, where a vector of any kind may lie.
#[repr(align(64))]
pub(crate) struct Aligned<T>(pub(crate) T);
