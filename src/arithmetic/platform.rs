//! Which form of the lanes this machine runs: the one place that decides.

use super::field::FieldLanes;
#[cfg(target_arch = "x86_64")]
use super::field::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use super::field::ifma::Ifma;
use super::field::portable::Element;

/// A form of the lanes, which this machine has the instructions for: the only values there are come from asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Platform(Form);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    #[cfg(target_arch = "x86_64")]
    Ifma,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// Work to be done by one form of the lanes.
pub(crate) trait OnLanes {
    /// What it yields.
    type Output;
    /// Does it.
    fn run<F: FieldLanes>(self) -> Self::Output;
}

impl Platform {
    /// One lane, on any machine.
    pub(crate) const PORTABLE: Self = Self(Form::Portable);

    /// The fastest form there is.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma") {
                return Self(Form::Ifma);
            }
            if is_x86_feature_detected!("avx2") {
                return Self(Form::Avx2);
            }
        }
        Self::PORTABLE
    }

    /// Every form that runs here, the fastest first: what tests and measurements choose from.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let detected = Self::detect();
        let forms = [
            #[cfg(target_arch = "x86_64")]
            Form::Ifma,
            #[cfg(target_arch = "x86_64")]
            Form::Avx2,
            Form::Portable,
        ];
        // A machine that has a form has those after it too: every processor with AVX-512 has AVX2.
        forms.into_iter().map(Self).skip_while(|form| *form != detected).collect()
    }

    /// Its name: `avx512-ifma`, `avx2` or `portable`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Form::Ifma => "avx512-ifma",
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => "avx2",
            Form::Portable => "portable",
        }
    }

    /// Items that are sooner done one at a time, at most, and before another thread has woken.
    pub(crate) fn few(self) -> usize {
        struct Few;
        impl OnLanes for Few {
            type Output = usize;
            fn run<F: FieldLanes>(self) -> usize {
                F::FEW
            }
        }
        self.run(Few)
    }

    /// Items for each thread from which on they are put to a batch check.
    pub(crate) fn batch_check_threshold(self) -> usize {
        struct Threshold;
        impl OnLanes for Threshold {
            type Output = usize;
            fn run<F: FieldLanes>(self) -> usize {
                F::BATCH_CHECK_THRESHOLD
            }
        }
        self.run(Threshold)
    }

    /// Has this form do `work`.
    pub(crate) fn run<W: OnLanes>(self, work: W) -> W::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Form::Ifma => work.run::<Ifma>(),
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => work.run::<Avx2>(),
            Form::Portable => work.run::<Element>(),
        }
    }
}

impl Default for Platform {
    fn default() -> Self {
        Self::detect()
    }
}
