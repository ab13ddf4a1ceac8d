//! The primitives that the scheduler and the multi-version memory synchronise with.
//!
//! Both take them from here and from nowhere else, so that a model checker's can be put in their place.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
