//! Chain formats: raw bytes in, decoded once, every hash and digest that a check needs out.

#[cfg(feature = "bitcoin")]
pub mod bitcoin;
