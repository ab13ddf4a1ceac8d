//! Reading and validating linked WGSL, with what naga finds wrong told in terms of the files it came from.

use std::error::Error as _;
use std::fmt::Write as _;

use naga::Span;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use super::link::{LinkError, Linked};
use super::loops;
use super::render::RenderError;
use super::{Arithmetic, Kernel};

/// A kernel that may be handed to a device.
#[derive(Debug)]
pub struct Shader {
    /// The kernel.
    pub kernel: Kernel,
    /// The variant it was linked for.
    pub arithmetic: Arithmetic,
    /// Its text.
    pub linked: Linked,
    pub(crate) module: naga::Module,
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "what translation needs besides the module; devices validate anew")
    )]
    pub(crate) info: ModuleInfo,
}

/// Why there is no shader for a kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShaderError {
    /// Its files could not be linked.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A function that Rust writes out could overflow.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// It is no WGSL, or not valid with the capabilities of its variant.
    #[error("kernel {kernel}, variant {arithmetic}: {problem}")]
    Invalid {
        /// The kernel.
        kernel: &'static str,
        /// The variant.
        arithmetic: Arithmetic,
        /// What is wrong, a line for each place.
        problem: String,
    },
}

/// What a device of a variant is asked for, and so all that its kernels may use.
fn capabilities(arithmetic: Arithmetic) -> Capabilities {
    match arithmetic {
        Arithmetic::U64 => Capabilities::SHADER_INT64,
        Arithmetic::U32 => Capabilities::empty(),
    }
}

pub(super) fn validate(kernel: Kernel, arithmetic: Arithmetic, linked: Linked) -> Result<Shader, ShaderError> {
    let invalid = |problem| ShaderError::Invalid { kernel: kernel.name, arithmetic, problem };
    let module = naga::front::wgsl::parse_str(linked.text()).map_err(|error| {
        let labels: Vec<_> = error.labels().map(|(span, label)| (span, label.to_owned())).collect();
        invalid(told(&linked, error.message(), &labels))
    })?;
    let mut validator = Validator::new(ValidationFlags::all(), capabilities(arithmetic));
    let info = validator.validate(&module).map_err(|error| {
        let mut message = error.as_inner().to_string();
        let mut cause = error.as_inner().source();
        while let Some(inner) = cause {
            let _ = write!(message, ": {inner}");
            cause = inner.source();
        }
        let labels: Vec<_> = error.spans().cloned().collect();
        invalid(told(&linked, &message, &labels))
    })?;
    if let Some(place) = loops::endless(&module) {
        return Err(invalid(told(&linked, "a loop that is not seen to end", &[(place, "it".to_owned())])));
    }
    let has_entry = module.entry_points.iter().any(|entry| entry.name == kernel.name);
    if !has_entry {
        return Err(invalid(format!("shaders/kernel/{}.wgsl has no entry point of that name", kernel.file)));
    }
    Ok(Shader { kernel, arithmetic, linked, module, info })
}

/// What is wrong, and the place of each thing that it is about.
fn told(linked: &Linked, message: &str, labels: &[(Span, String)]) -> String {
    let mut text = message.to_owned();
    for (span, label) in labels {
        let place = span.to_range().and_then(|range| linked.origin(range.start));
        if let Some(origin) = place {
            let _ = write!(text, "\n  {origin}: {label}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use naga::back::{hlsl, msl, spv};

    use super::super::{KERNELS, link};
    use super::*;

    const KERNEL: Kernel = Kernel { name: "k", file: "k", hot: false };

    fn problem(kernel: &str, included: &str, arithmetic: Arithmetic) -> String {
        let files = [("kernel/k", kernel), ("lib/a", included)];
        let (constants, rendered) = (BTreeMap::new(), BTreeMap::new());
        let library = link::Library { files: &files, choices: &[], constants: &constants, rendered: &rendered };
        let linked = library.link("kernel/k").expect("links");
        validate(KERNEL, arithmetic, linked).expect_err("invalid").to_string()
    }

    #[test]
    fn syntax_errors_name_the_file_they_are_in() {
        let text =
            problem("//#include \"a\"\n@compute @workgroup_size(1)\nfn k() {}\n", "\nfn f( {}\n", Arithmetic::U32);
        assert!(text.starts_with("kernel k, variant u32: "), "{text}");
        assert!(text.contains("\n  shaders/lib/a.wgsl:2: "), "{text}");
    }

    #[test]
    fn validation_errors_name_the_file_they_are_in() {
        let text = problem(
            "//#include \"a\"\n@compute @workgroup_size(1)\nfn k() {\n    f();\n}\n",
            "// a comment\nfn f() -> u32 {\n    if true { return 1u; }\n}\n",
            Arithmetic::U32,
        );
        assert!(text.contains("\n  shaders/lib/a.wgsl:"), "{text}");
    }

    #[test]
    fn wide_integers_are_refused_where_the_variant_has_none() {
        let kernel = "@compute @workgroup_size(1)\nfn k() {\n    let wide = 1lu;\n}\n";
        assert!(problem(kernel, "", Arithmetic::U32).contains("SHADER_INT64"));
    }

    #[test]
    fn a_kernel_needs_an_entry_point_of_its_name() {
        let text = problem("@compute @workgroup_size(1)\nfn other() {}\n", "", Arithmetic::U32);
        assert!(text.ends_with("shaders/kernel/k.wgsl has no entry point of that name"), "{text}");
    }

    #[test]
    fn every_kernel_translates_for_every_backend() {
        for kernel in KERNELS {
            for arithmetic in Arithmetic::ALL {
                let shader = kernel.shader(arithmetic).unwrap_or_else(|error| panic!("{error}"));
                let name = format!("{} {arithmetic}", kernel.name);
                translate(&shader, &name);
            }
        }
    }

    fn translate(shader: &Shader, name: &str) {
        let (module, info) = (&shader.module, &shader.info);
        let stage = naga::ShaderStage::Compute;
        let entry_point = shader.kernel.name.to_owned();
        let options = spv::Options { lang_version: (1, 3), ..Default::default() };
        let pipeline = spv::PipelineOptions { shader_stage: stage, entry_point: entry_point.clone() };
        let words = spv::write_vec(module, info, &options, Some(&pipeline)).expect(name);
        assert!(!words.is_empty(), "{name}");

        // 64-bit integers came with Metal 2.3.
        let options = msl::Options { lang_version: (2, 3), ..Default::default() };
        let pipeline = msl::PipelineOptions { entry_point: Some((stage, entry_point)), ..Default::default() };
        let (text, _) = msl::write_string(module, info, &options, &pipeline).expect(name);
        assert!(text.contains(shader.kernel.name), "{name}");

        // 64-bit integers came with shader model 6.0; the other variant must do with what FXC compiles.
        let shader_model = match shader.arithmetic {
            Arithmetic::U64 => hlsl::ShaderModel::V6_0,
            Arithmetic::U32 => hlsl::ShaderModel::V5_1,
        };
        let options = hlsl::Options { shader_model, ..Default::default() };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
            .write(module, info, None)
            .expect(name);
        assert!(text.contains(shader.kernel.name), "{name}");
    }
}
