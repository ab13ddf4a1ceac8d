//! Which variant of the kernels an adapter runs: the one whose field multiplications take less time there.

use super::cache::{Cache, key};
use super::device::Adapter;
use super::error::GpuError;
use super::field::{Chain, Field};
use super::shader::Arithmetic;

/// Chains that are timed at once: enough to fill a large GPU, few enough for a small one, which takes some tens of milliseconds.
const LANES: usize = 1 << 17;

/// The same for a program on the CPU, which is full with a few and slow with many.
const LANES_IN_SOFTWARE: usize = 1_024;

/// Dispatches that are timed.
const ROUNDS: usize = 3;

/// What was chosen, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// The variant.
    pub variant: Arithmetic,
    /// Nanoseconds that a field multiplication takes with each variant, all lanes at work; empty where there was no choice.
    pub nanoseconds: Vec<(Arithmetic, f64)>,
}

/// The faster variant of those that an adapter can run: as stored, or by timing a chain of multiplications with each.
///
/// A variant that fails is left out; an error if none is left.
pub(super) fn tune(adapter: &Adapter, cache: Option<&Cache>) -> Result<Tuning, GpuError> {
    let variants: Vec<_> = adapter.variants().collect();
    if let [variant] = variants[..] {
        return Ok(Tuning { variant, nanoseconds: Vec::new() });
    }
    let key = key(adapter, None);
    let stored = cache.and_then(|cache| cache.read("tuning", &key));
    if let Some(tuning) = stored.and_then(|stored| Tuning::parse(&String::from_utf8_lossy(&stored))) {
        return Ok(tuning);
    }
    let lanes = if adapter.is_software() { LANES_IN_SOFTWARE } else { LANES };
    let mut nanoseconds = Vec::new();
    let mut problem = None;
    for variant in variants {
        match Field::on(adapter, variant).and_then(|field| field.time(Chain::Mul, lanes, ROUNDS)) {
            Ok(time) => nanoseconds.push((variant, time.nanoseconds())),
            Err(error) => {
                tracing::warn!(adapter = adapter.name(), %variant, %error, "a variant of the kernels cannot be timed");
                problem = Some(error);
            }
        }
    }
    let Some(tuning) = Tuning::fastest(nanoseconds) else {
        let refusal = || GpuError::NoVariant { adapter: adapter.name().to_owned() };
        return Err(problem.unwrap_or_else(refusal));
    };
    if let (Some(cache), None) = (cache, problem) {
        cache.write("tuning", &key, tuning.text().as_bytes());
    }
    Ok(tuning)
}

impl Tuning {
    fn fastest(nanoseconds: Vec<(Arithmetic, f64)>) -> Option<Self> {
        let (variant, _) = nanoseconds.iter().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        Some(Self { variant: *variant, nanoseconds })
    }

    /// A line for each variant that was timed.
    fn text(&self) -> String {
        self.nanoseconds.iter().map(|(variant, time)| format!("{variant} {time}\n")).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let line = |line: &str| {
            let (name, time) = line.split_once(' ')?;
            let variant = Arithmetic::ALL.into_iter().find(|variant| variant.name() == name)?;
            let time: f64 = time.parse().ok()?;
            (time.is_finite() && time > 0.0).then_some((variant, time))
        };
        Self::fastest(text.lines().map(line).collect::<Option<Vec<_>>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_faster_variant_is_chosen_and_survives_the_disk() {
        let times = vec![(Arithmetic::U64, 7.25), (Arithmetic::U32, 16.5)];
        let tuning = Tuning::fastest(times.clone()).expect("two variants");
        assert_eq!(tuning.variant, Arithmetic::U64);
        assert_eq!(Tuning::parse(&tuning.text()), Some(tuning));
        let swapped = times.into_iter().map(|(variant, time)| (variant, 20.0 - time)).collect();
        assert_eq!(Tuning::fastest(swapped).expect("two variants").variant, Arithmetic::U32);
    }

    #[test]
    fn a_text_that_is_no_tuning_is_none() {
        for text in ["", "u64", "u16 1", "u64 NaN", "u64 -1", "u64 0", "u64 1 2", "u64 1\nu32", "u64 inf"] {
            assert_eq!(Tuning::parse(text), None, "{text:?}");
        }
    }
}
