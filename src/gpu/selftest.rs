//! What `phalanx devices` tells of an adapter: which variant is faster there, and whether each program may serve.

use super::backend::{GpuBackend, GpuConfig};
use super::device::Adapter;
use super::error::{Fault, GpuError};
use super::tune::{Tuning, tune};
use crate::cpu::Audit;

/// What an adapter showed.
#[derive(Debug)]
pub struct SelfTest {
    /// The variant chosen, with the times that chose it.
    pub tuning: Result<Tuning, GpuError>,
    /// Each program by name, and why it may not serve if it may not; empty where no variant runs.
    pub programs: Vec<(&'static str, Result<(), Fault>)>,
}

impl Adapter {
    /// Times both variants, compiles every program for the faster one and has all known answers given, as before it serves. Takes
    /// seconds. What is on disk is used and renewed.
    #[must_use]
    pub fn self_test(&self) -> SelfTest {
        let tuning = tune(self, super::cache::Cache::find().as_ref());
        let programs = match &tuning {
            Ok(tuning) => {
                let arithmetic = Some(tuning.variant);
                let config =
                    GpuConfig { memory: None, arithmetic, is_cached: true, is_explicit: true, audit: Audit::Off };
                GpuBackend::open(self, config).admissions()
            }
            Err(_) => Vec::new(),
        };
        SelfTest { tuning, programs }
    }
}
