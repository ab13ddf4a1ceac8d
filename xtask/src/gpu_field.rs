//! `cargo xtask gpu-field`: how long field operations take on each adapter, in both variants.

use phalanx::gpu::shader::Arithmetic;
use phalanx::gpu::{Adapter, Chain, Field, GpuError, adapters};

/// Chains in a dispatch: a tenth of a second of multiplications on two cores.
const LANES: usize = 1 << 14;

/// Dispatches, of which the fastest counts.
const ROUNDS: usize = 7;

pub(crate) fn gpu_field() -> Result<(), String> {
    let adapters = adapters();
    if adapters.is_empty() {
        return Err("there is no GPU adapter here; `cargo xtask test` installs a software one".to_owned());
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}; {LANES} lanes, fastest of {ROUNDS} dispatches", load.split(' ').next().unwrap_or_default());
    println!("{:<40} {:<8} {:<10} {:>10}", "adapter", "variant", "operation", "ns each");
    for adapter in adapters {
        for arithmetic in adapter.variants() {
            for chain in Chain::ALL {
                let nanoseconds = time(&adapter, arithmetic, chain).map_err(|error| error.to_string())?;
                let adapter: String = adapter.name().chars().take(40).collect();
                let operation = format!("{chain:?}").to_lowercase();
                println!("{adapter:<40} {:<8} {operation:<10} {nanoseconds:>10.2}", arithmetic.name());
            }
        }
    }
    Ok(())
}

fn time(adapter: &Adapter, arithmetic: Arithmetic, chain: Chain) -> Result<f64, GpuError> {
    Ok(Field::on(adapter, arithmetic)?.time(chain, LANES, ROUNDS)?.nanoseconds())
}
