//! Functions that Rust writes out in WGSL: limb arithmetic, without loops or indexed arrays, which drivers would have to see
//! through. Bounds are computed while it is written, so that what could overflow is an error here and never runs.

mod field;
mod layout;
mod scalar;
mod straight;

use std::collections::BTreeMap;

use super::Arithmetic;
use layout::Layout;

/// A function that could overflow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{function}, variant {arithmetic}: {value} may not fit")]
pub struct RenderError {
    function: &'static str,
    arithmetic: Arithmetic,
    value: String,
}

/// Every rendered function of a variant, by name.
pub(super) fn functions(arithmetic: Arithmetic) -> Result<BTreeMap<&'static str, String>, RenderError> {
    let layout = match arithmetic {
        Arithmetic::U64 => Layout::U64,
        Arithmetic::U32 => Layout::U32,
    };
    let mut functions = BTreeMap::new();
    for (name, rendered) in field::functions(&layout).into_iter().chain(scalar::functions(&layout)) {
        let text = rendered.map_err(|value| RenderError { function: name, arithmetic, value })?;
        functions.insert(name, text);
    }
    Ok(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_rendered_can_overflow() {
        for arithmetic in Arithmetic::ALL {
            let functions = functions(arithmetic).unwrap_or_else(|error| panic!("{error}"));
            for (name, text) in &functions {
                assert!(text.contains(&format!("fn {name}(")) || text.contains(&format!("struct {name} ")), "{text}");
            }
        }
    }
}
