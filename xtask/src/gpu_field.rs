//! `cargo xtask gpu-field [LANES]`: how long field operations take on each adapter, in both variants.

use phalanx::gpu::shader::Arithmetic;
use phalanx::gpu::{Adapter, Chain, Field, GpuError, adapters};

/// Chains in a dispatch where nothing else is said: a tenth of a second of multiplications on two cores. A large GPU is full with more.
const LANES: usize = 1 << 14;

/// Dispatches, of which the fastest counts.
const ROUNDS: usize = 7;

pub(crate) fn gpu_field(arguments: &[String]) -> Result<(), String> {
    let lanes = match arguments {
        [] => LANES,
        [lanes] => lanes.parse().ok().filter(|lanes| *lanes > 0).ok_or("usage: cargo xtask gpu-field [LANES]")?,
        _ => return Err("usage: cargo xtask gpu-field [LANES]".to_owned()),
    };
    let adapters = adapters();
    if adapters.is_empty() {
        return Err("there is no GPU adapter here; `cargo xtask test` installs a software one".to_owned());
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}; {lanes} lanes, fastest of {ROUNDS} dispatches", load.split(' ').next().unwrap_or_default());
    println!("{:<40} {:<8} {:<10} {:>10}", "adapter", "variant", "operation", "ns each");
    for adapter in adapters {
        for arithmetic in adapter.variants() {
            for chain in Chain::ALL {
                let nanoseconds = time(&adapter, arithmetic, chain, lanes).map_err(|error| error.to_string())?;
                let adapter: String = adapter.name().chars().take(40).collect();
                let operation = format!("{chain:?}").to_lowercase();
                println!("{adapter:<40} {:<8} {operation:<10} {nanoseconds:>10.4}", arithmetic.name());
            }
        }
    }
    Ok(())
}

fn time(adapter: &Adapter, arithmetic: Arithmetic, chain: Chain, lanes: usize) -> Result<f64, GpuError> {
    Ok(Field::on(adapter, arithmetic)?.time(chain, lanes, ROUNDS)?.nanoseconds())
}
