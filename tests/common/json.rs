//! JSON to be changed, field by field.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

/// An object.
pub(crate) type Object = Map<String, Value>;

/// Reads a gzipped file.
pub(crate) fn unzip(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Reads a gzipped object.
pub(crate) fn read(path: &Path) -> Object {
    serde_json::from_slice(&unzip(path)).unwrap()
}

/// An object as bytes.
pub(crate) fn bytes(object: &Object) -> Vec<u8> {
    serde_json::to_vec(object).unwrap()
}

/// The object without a field that it has.
pub(crate) fn without(object: &Object, field: &str) -> Object {
    let mut changed = object.clone();
    assert!(changed.remove(field).is_some(), "{field}");
    changed
}

/// The object with another value in a field.
pub(crate) fn with(object: &Object, field: &str, value: Value) -> Object {
    let mut changed = object.clone();
    changed.insert(field.to_owned(), value);
    changed
}
