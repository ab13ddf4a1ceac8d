//! The field of integers modulo p = 2^256 - 2^32 - 977.

pub mod portable;
