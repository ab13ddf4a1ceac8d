//! The kernels: which there are, their WGSL linked for each arithmetic variant, and its validation.

pub(crate) mod constants;
mod link;
mod loops;
mod render;
mod sources;
mod validate;

use std::fmt;

pub use constants::WORKGROUP_SIZE;
pub(crate) use constants::{CHAIN_LENGTH, HASH_MAX_BLOCKS, MERKLE_LEAVES, SMALL_FACTOR};
pub use link::{LinkError, Linked, Origin};
pub use render::RenderError;
pub use validate::{Shader, ShaderError};

/// What a kernel's arithmetic is built on. Both answer the same; which is faster depends on the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arithmetic {
    /// Products in 64 bits; needs an adapter with `SHADER_INT64`.
    U64,
    /// Products in 32 bits; runs everywhere.
    U32,
}

impl Arithmetic {
    /// Both variants.
    pub const ALL: [Self; 2] = [Self::U64, Self::U32];

    /// The name under which shaders include it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::U64 => "u64",
            Self::U32 => "u32",
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A compute shader's entry point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// The entry point's name, the kernel's own.
    pub name: &'static str,
    /// The file under `shaders/kernel`, without `.wgsl`.
    pub file: &'static str,
    /// Whether a batch's time is spent there, so that spilled registers are a defect.
    pub hot: bool,
}

impl Kernel {
    /// Links and validates the kernel for a variant.
    pub fn shader(self, arithmetic: Arithmetic) -> Result<Shader, ShaderError> {
        validate::validate(self, arithmetic, link_file(self.file, arithmetic)?)
    }
}

/// Every kernel.
pub const KERNELS: &[Kernel] = &[
    timing("field_mul_chain"),
    timing("field_sqr_chain"),
    timing("field_inv_chain"),
    check("field_add"),
    check("field_sub"),
    check("field_neg"),
    check("field_half"),
    check("field_mul"),
    check("field_mul_small"),
    check("field_sqr"),
    check("field_inv"),
    check("field_sqrt"),
    check("field_equal"),
    check("field_is_zero"),
    check("field_magnitudes"),
    ecdsa::PREPARE_RECOVER,
    ecdsa::PREPARE_VERIFY,
    ecdsa::LIFT,
    ecdsa::TABLE,
    ecdsa::MULTIPLY,
    ecdsa::BASE,
    ecdsa::COMPLETE,
    ecdsa::FINISH_VERIFY,
    ecdsa::FINISH_RECOVER,
    hash("sha256", "sha256"),
    hash("sha256d", "sha256"),
    hash("keccak256", "keccak256"),
    hash("merkle_bitcoin", "merkle"),
    hash("merkle_rfc6962", "merkle"),
    PRODUCT,
];

/// SHA-256 of all that the kernels of a variant are made of, in hexadecimal.
pub(super) fn digest(arithmetic: Arithmetic) -> String {
    let mut text = String::new();
    let constants = constants::declarations();
    // What cannot be rendered makes no kernel, so that nothing of it is ever stored.
    let rendered = render::functions(arithmetic).unwrap_or_default();
    for (name, content) in sources::FILES {
        text.push_str(&format!("{name}\n{content}\n"));
    }
    for (name, content) in constants.iter().chain(&rendered) {
        text.push_str(&format!("{name}\n{content}\n"));
    }
    crate::cpu::sha256(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A field product, laid out as programs are.
pub(super) const PRODUCT: Kernel = Kernel { name: "product", file: "product", hot: false };

/// The kernels of ECDSA, in the order of their steps.
pub(super) mod ecdsa {
    use super::Kernel;

    pub(crate) const PREPARE_RECOVER: Kernel = hot("ecdsa_prepare_recover", "ecdsa_prepare");
    pub(crate) const PREPARE_VERIFY: Kernel = hot("ecdsa_prepare_verify", "ecdsa_prepare");
    pub(crate) const LIFT: Kernel = hot("ecdsa_lift", "ecdsa_lift");
    pub(crate) const TABLE: Kernel = hot("ecdsa_table", "ecdsa_table");
    pub(crate) const MULTIPLY: Kernel = hot("ecdsa_multiply", "ecdsa_multiply");
    pub(crate) const BASE: Kernel = hot("ecdsa_base", "ecdsa_base");
    pub(crate) const COMPLETE: Kernel = hot("ecdsa_complete", "ecdsa_complete");
    pub(crate) const FINISH_VERIFY: Kernel = hot("ecdsa_finish_verify", "ecdsa_finish_verify");
    pub(crate) const FINISH_RECOVER: Kernel = hot("ecdsa_finish_recover", "ecdsa_finish_recover");

    const fn hot(name: &'static str, file: &'static str) -> Kernel {
        Kernel { name, file, hot: true }
    }
}

/// A field operation by itself.
pub(super) const fn check(name: &'static str) -> Kernel {
    Kernel { name, file: "field_check", hot: false }
}

/// A chain of field operations.
pub(super) const fn timing(name: &'static str) -> Kernel {
    Kernel { name, file: "field_timing", hot: true }
}

/// A hash of a lane.
pub(super) const fn hash(name: &'static str, file: &'static str) -> Kernel {
    Kernel { name, file, hot: true }
}

/// Links a file under `shaders/kernel`.
fn link_file(file: &str, arithmetic: Arithmetic) -> Result<Linked, ShaderError> {
    let constants = constants::declarations();
    let rendered = render::functions(arithmetic)?;
    let library = link::Library {
        files: sources::FILES,
        choices: &[("arithmetic", arithmetic.name())],
        constants: &constants,
        rendered: &rendered,
    };
    Ok(library.link(&format!("kernel/{file}"))?)
}
