//! Which backend answers how much of a batch.
//!
//! Every backend has a cost [`Line`] for each kind of [`Work`], measured once and then learned from every batch ([`Model`]). A [`Policy`]
//! compares what each set of backends would need for a batch, the batch being divided so that all of a set end at once
//! ([`divide`]), and follows the soonest. Three things keep it from trusting a guess for too long or too little:
//!
//! - **Contention.** A GPU and the CPU that feeds it are not independent, and a software adapter competes for the very same cores. How much
//!   longer work takes while others work too is measured and learned apart from what it takes alone.
//! - **Hysteresis.** A plan is replaced at once by one that is a quarter better, and by one that is a twentieth better after a few
//!   batches in a row.
//! - **Probes.** A backend that got slow, late or failed gets no share; now and then it is handed a copy of a few items that the others
//!   answer too, and when that goes well it has its share again. Nobody waits for a probe; but one on the CPU's own cores slows the
//!   batch down, so that a backend which merely does not pay is probed seldom.
//!
//! A share that a GPU has not answered when it is late is done over on the CPU; the first answer counts. So a GPU can cost time, and
//! neither an item nor its place.

mod backend;
#[cfg(feature = "gpu")]
mod batch;
#[cfg(feature = "gpu")]
mod calibrate;
mod decision;
#[cfg(feature = "gpu")]
mod device;
#[cfg(feature = "gpu")]
mod gpu;
mod line;
mod model;
pub(crate) mod observe;
mod policy;
#[cfg(feature = "gpu")]
mod router;
#[cfg(feature = "gpu")]
mod sample;
mod split;
#[cfg(feature = "gpu")]
mod store;
#[cfg(all(test, feature = "gpu"))]
mod tests;

#[cfg(feature = "gpu")]
pub(crate) use batch::{Divisible, Hashing};
pub use decision::{Decision, Probe, Share, Why, Work};
#[cfg(feature = "gpu")]
pub(crate) use device::Device;
#[cfg(feature = "gpu")]
pub(crate) use gpu::RoutedGpu;
pub use line::Line;
pub use model::Model;
pub use policy::{CPU, MOST_BACKENDS, Outcome, Policy};
#[cfg(feature = "gpu")]
pub(crate) use router::Router;
pub use split::{Division, Offer, divide};
#[cfg(feature = "gpu")]
pub(crate) use store::Store;
