//! The WGSL files, embedded.

macro_rules! embed {
    ($($path:literal,)*) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path, ".wgsl"))),)*]
    };
}

/// Every file by its path under `shaders/`, without `.wgsl`.
pub(super) const FILES: &[(&str, &str)] = embed![
    "lib/ecdsa/base",
    "lib/ecdsa/digits",
    "lib/ecdsa/lane",
    "lib/ecdsa/points",
    "lib/field/secp256k1",
    "lib/field/secp256k1/u32",
    "lib/field/secp256k1/u64",
    "lib/group/complete",
    "lib/group/endomorphism",
    "lib/group/secp256k1",
    "lib/hash/digest",
    "lib/hash/keccak256",
    "lib/hash/sha256",
    "lib/scalar/secp256k1",
    "lib/scalar/secp256k1/u32",
    "lib/scalar/secp256k1/u64",
    "lib/seal",
    "lib/words",
    "kernel/ecdsa_base",
    "kernel/ecdsa_complete",
    "kernel/ecdsa_finish_recover",
    "kernel/ecdsa_finish_verify",
    "kernel/ecdsa_lift",
    "kernel/ecdsa_multiply",
    "kernel/ecdsa_prepare",
    "kernel/ecdsa_table",
    "kernel/field_check",
    "kernel/field_timing",
    "kernel/keccak256",
    "kernel/merkle",
    "kernel/product",
    "kernel/sha256",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::FILES;

    fn files_under(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in folder.read_dir().expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            match name.strip_suffix(".wgsl") {
                Some(stem) => {
                    found.insert(format!("{prefix}{stem}"));
                }
                None => files_under(&entry.path(), &format!("{prefix}{name}/"), found),
            }
        }
    }

    #[test]
    fn every_file_is_embedded() {
        let mut found = BTreeSet::new();
        files_under(&Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders"), "", &mut found);
        assert_eq!(FILES.iter().map(|(path, _)| (*path).to_owned()).collect::<BTreeSet<_>>(), found);
    }

    #[test]
    fn the_library_binds_nothing() {
        for (path, text) in FILES.iter().filter(|(path, _)| path.starts_with("lib/")) {
            assert!(!text.contains("@group") && !text.contains("@compute"), "{path}");
        }
    }
}
