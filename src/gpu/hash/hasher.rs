//! Every hash on one device by itself, without the verifier's fallback to the CPU: for known answers and for timing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Keccak256, Messages, Sha256, Sha256d};
use crate::batch::MessageBatch;
use crate::cpu::CpuBackend;
use crate::gpu::device::Adapter;
use crate::gpu::driver::wgpu::WgpuDriver;
use crate::gpu::error::Fault;
use crate::gpu::merkle::{Bitcoin, LEAVES, Leaves, Rfc6962, Subtree, Subtrees, Tree};
use crate::gpu::merkle_tree::Climb;
use crate::gpu::program::Program;
use crate::gpu::shader::Arithmetic;
use crate::gpu::team::feeders;
use crate::gpu::worker::{Served, Serving, Settings, Worker};
use crate::merkle::bitcoin;
use crate::scheme::hash::HashFunction;

/// Software drivers on a busy machine take seconds for what is tried here.
const PATIENCE: Duration = Duration::from_mins(2);

/// Half a million messages of 200 bytes at once.
const SETTINGS: Settings = Settings {
    slots: 3,
    memory: 1 << 30,
    step: Duration::from_millis(50),
    feeders: 0,
    patience: PATIENCE,
    compile_patience: PATIENCE,
};

/// A device that hashes.
pub struct Hasher {
    device: OneDevice,
    sha256: Ready<Messages<Sha256>>,
    sha256d: Ready<Messages<Sha256d>>,
    keccak256: Ready<Messages<Keccak256>>,
    bitcoin: Ready<Subtrees<Bitcoin>>,
    rfc6962: Ready<Subtrees<Rfc6962>>,
}

struct OneDevice {
    worker: Worker,
    cpu: CpuBackend,
}

/// A program that was admitted.
struct Ready<P: Program> {
    served: Served<P>,
    number: usize,
}

impl Hasher {
    /// Opens a device for a variant, compiles every hash and has each give its known answers.
    pub fn on(adapter: &Adapter, arithmetic: Arithmetic) -> Result<Self, Fault> {
        let driver = Arc::new(WgpuDriver::new(adapter.clone(), arithmetic, None));
        let settings = Settings { feeders: feeders(), ..SETTINGS };
        let device = OneDevice { worker: Worker::start(driver, settings)?, cpu: CpuBackend::default() };
        Ok(Self {
            sha256: device.admit(Messages::new())?,
            sha256d: device.admit(Messages::new())?,
            keccak256: device.admit(Messages::new())?,
            bitcoin: device.admit(Subtrees::new())?,
            rfc6962: device.admit(Subtrees::new())?,
            device,
        })
    }

    /// Hashes every message. One digest for each, in order.
    pub fn hash(&self, function: HashFunction, messages: &MessageBatch) -> Result<Vec<[u8; 32]>, Fault> {
        let item = |index| messages.get(index).unwrap_or_default();
        match function {
            HashFunction::Sha256 => self.device.answer(&self.sha256, messages.len(), &item),
            HashFunction::Sha256d => self.device.answer(&self.sha256d, messages.len(), &item),
            HashFunction::Keccak256 => self.device.answer(&self.keccak256, messages.len(), &item),
        }
    }

    /// What [`bitcoin::root`] says of these leaves.
    pub fn bitcoin_root(&self, leaves: &[[u8; 32]]) -> Result<bitcoin::Root, Fault> {
        Ok(self.climb(&self.bitcoin, leaves)?.bitcoin_root())
    }

    /// The root, and what [`bitcoin::Branch::new`] says of each index.
    pub fn bitcoin_branches(
        &self,
        leaves: &[[u8; 32]],
        indices: &[usize],
    ) -> Result<(bitcoin::Root, Vec<Option<bitcoin::Branch>>), Fault> {
        let climb = self.climb(&self.bitcoin, leaves)?;
        Ok((climb.bitcoin_root(), indices.iter().map(|index| climb.bitcoin_branch(*index)).collect()))
    }

    /// The root of RFC 6962's tree over hashes of leaves.
    pub fn rfc6962_root(&self, leaf_hashes: &[[u8; 32]]) -> Result<[u8; 32], Fault> {
        Ok(self.climb(&self.rfc6962, leaf_hashes)?.rfc6962_root())
    }

    /// The root, and the inclusion proof of each index; none past the end.
    #[allow(clippy::type_complexity, reason = "a root and a proof for each index")]
    pub fn rfc6962_inclusion_proofs(
        &self,
        leaf_hashes: &[[u8; 32]],
        indices: &[usize],
    ) -> Result<([u8; 32], Vec<Option<Vec<[u8; 32]>>>), Fault> {
        let climb = self.climb(&self.rfc6962, leaf_hashes)?;
        Ok((climb.rfc6962_root(), indices.iter().map(|index| climb.rfc6962_inclusion_proof(*index)).collect()))
    }

    fn climb<'a, T: Tree>(&self, ready: &Ready<Subtrees<T>>, leaves: &'a [[u8; 32]]) -> Result<Climb<'a>, Fault> {
        Climb::new::<T, _>(leaves, LEAVES, |subtrees: &[Leaves]| -> Result<Vec<Subtree>, Fault> {
            self.device.answer(ready, subtrees.len(), &|index| &subtrees[index])
        })
    }
}

impl OneDevice {
    fn admit<P: Program>(&self, program: P) -> Result<Ready<P>, Fault> {
        let served = Served::new(program);
        let number = served.admit(&self.worker)?;
        Ok(Ready { served, number })
    }

    fn answer<'a, P: Program>(
        &self,
        ready: &'a Ready<P>,
        count: usize,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
    ) -> Result<Vec<P::Answer>, Fault> {
        let given = ready.served.answer(&self.worker, ready.number, &self.cpu, count, item);
        match given.fault {
            // What no dispatch has room for is the CPU's.
            None => Ok(ready.served.answer_on_cpu(&self.cpu, given.answers, item)),
            Some(fault) => Err(fault),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("worker", &self.device.worker).finish_non_exhaustive()
    }
}
