//! ECDSA on a device: how signatures become lanes of the kernels `ecdsa_*`, and lanes verdicts.
//!
//! Both programs compute u1 G + u2 P. Recovery has P = R, u1 = -z / r and u2 = s / r; verification has the key for P, u1 = z / s and
//! u2 = r / s. The steps: `prepare` checks ranges and makes the scalars, `lift` finds or checks P, `table` its short multiples, `multiply`
//! u2 P, `base` adds u1 G, `complete` adds it again where an addition was exceptional, and `finish` compares or leaves Jacobian
//! coordinates.

#[cfg(test)]
mod cost;
mod digits;
mod known_answers;
mod recover;
mod table;
mod verify;

use std::fmt::Debug;
use std::time::Duration;

pub(super) use recover::Recover;
pub(super) use verify::Verify;

use super::device::Adapter;
use super::dispatch::{Session, Stages};
use super::error::GpuError;
use super::program::Program;
use super::shader::Arithmetic;
use super::shader::constants::ecdsa::{STATUS_VALID, words_of};
use crate::scheme::ecdsa::{RecoverItem, Signer, VerifyItem};
use crate::verdict::{Reason, Verdict};

/// Both programs on a device, a dispatch at a time: for tests and for timing.
#[derive(Debug)]
pub struct Ecdsa {
    session: Session,
    recover: (Recover, Stages),
    verify: (Verify, Stages),
}

/// How long a step took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepTime {
    /// The kernel's name.
    pub kernel: &'static str,
    /// From its submission to its end.
    pub took: Duration,
}

impl Ecdsa {
    /// Opens a device for a variant, and compiles every kernel.
    pub fn on(adapter: &Adapter, arithmetic: Arithmetic) -> Result<Self, GpuError> {
        let session = Session::open(adapter, arithmetic)?;
        let (recover, verify) = (Recover::new(), Verify::new());
        let recover_stages = session.stages(&recover)?;
        let verify_stages = session.stages(&verify)?;
        Ok(Self { session, recover: (recover, recover_stages), verify: (verify, verify_stages) })
    }

    /// The signer of every item, in order, and the time of each step. The kernels make every check, ranges too.
    pub fn recover(&self, items: &[RecoverItem]) -> Result<(Vec<Verdict<Signer>>, Vec<StepTime>), GpuError> {
        self.session.answer(&self.recover.0, &self.recover.1, items)
    }

    /// The verdict on every item, in order, and the time of each step. The kernels make every check, ranges too.
    pub fn verify(&self, items: &[VerifyItem]) -> Result<(Vec<Verdict<()>>, Vec<StepTime>), GpuError> {
        self.session.answer(&self.verify.0, &self.verify.1, items)
    }

    /// Whether the programs' own known answers are what the device gives and what the CPU gives; the first that is not, in words.
    pub fn check_known_answers(&self) -> Result<(), String> {
        fn check<P: Program>(
            program: &P,
            answer: impl Fn(&[P::Item<'static>]) -> Result<Vec<P::Answer>, GpuError>,
        ) -> Result<(), String>
        where
            P::Item<'static>: Debug,
        {
            let (items, known): (Vec<_>, Vec<_>) = program.known_answers().into_iter().unzip();
            let answers = answer(&items).map_err(|error| error.to_string())?;
            let on_cpu = program.answer_on_cpu(&items);
            if (answers.len(), on_cpu.len()) != (items.len(), items.len()) {
                return Err(format!("{}: of {} items {} and {}", P::NAME, items.len(), answers.len(), on_cpu.len()));
            }
            for (((item, known), answer), on_cpu) in items.iter().zip(&known).zip(&answers).zip(&on_cpu) {
                if answer != known || on_cpu != known {
                    let name = P::NAME;
                    return Err(format!("{name}: {item:02x?}: {known:?}, device {answer:?}, CPU {on_cpu:?}"));
                }
            }
            Ok(())
        }
        check(&self.recover.0, |items| self.recover(items).map(|(answers, _)| answers))?;
        check(&self.verify.0, |items| self.verify(items).map(|(answers, _)| answers))
    }
}

/// Writes a big-endian number as the `index`th of a lane's input.
fn put_number(words: &mut [u32], index: usize, number: &[u8; 32]) {
    if let Some(slot) = words.get_mut(8 * index..8 * index + 8) {
        slot.copy_from_slice(&words_of(number));
    }
}

/// What a lane's status says; `output` is asked of valid ones. `None` where no kernel says that.
fn verdict<T>(status: u32, output: impl FnOnce() -> Option<T>) -> Option<Verdict<T>> {
    if status == STATUS_VALID {
        return output().map(Verdict::Valid);
    }
    let reason = Reason::ALL.into_iter().find(|reason| u32::from(*reason as u8) == status);
    reason.map(Verdict::Invalid)
}
