//! What the kernels of ECDSA share with Rust: the slots that a lane has, how scalars become digits, and the numbers of the curve.

use crate::scheme::ecdsa::{HALF_ORDER, ORDER, PRIME, PRIME_MINUS_ORDER};
use crate::verdict::Reason;

/// Lanes whose slots lie together.
const SCRATCH_TILE: u32 = 64;

/// Slots of four words that a lane has.
pub(crate) const SCRATCH_QUADS: u32 = SLOT_TABLE + TABLE_ENTRIES * TABLE_ENTRY_QUADS;

// What is in the slots: numbers take two of them.
const SLOT_STATE: u32 = 0;
/// The fixed base's scalar.
const SLOT_BASE: u32 = 1;
/// x and y.
const SLOT_POINT: u32 = 3;
const SLOT_DIGITS: u32 = 7;
/// X, Y and Z of u2 P.
const SLOT_SUM: u32 = 10;
/// X, Y and Z of u2 P + u1 G.
const SLOT_RESULT: u32 = 16;
const SLOT_TABLE: u32 = 22;
/// Products on the way to a shared inverse: before the table is there, and when it is no longer wanted.
const SLOT_PREFIX: u32 = SLOT_TABLE;

/// Points of a lane's table.
pub(crate) const TABLE_ENTRIES: u32 = 11;
/// x, beta x, beta^2 x and y.
const TABLE_ENTRY_QUADS: u32 = 8;

/// Lanes that share an inversion of a scalar.
pub(crate) const SCALAR_RUN: u32 = 32;
/// Lanes that share an inversion of a field element.
pub(crate) const FIELD_RUN: u32 = 32;

/// Digits of a scalar in base 8.
pub(crate) const DIGITS: u32 = 43;
/// Words that they take, with one digit more at the end.
const DIGIT_WORDS: u32 = 11;
/// The code of zero.
pub(crate) const DIGIT_ZERO: u32 = 0x80;
/// The bit of a digit's code that negates.
pub(crate) const DIGIT_NEGATIVE: u32 = 4;

/// Bits of a window of the fixed base's scalar.
pub(crate) const BASE_WINDOW_BITS: u32 = 12;
/// Windows, of at least 257 bits together.
pub(crate) const BASE_WINDOWS: u32 = 257_u32.div_ceil(BASE_WINDOW_BITS);
/// Where the fixed base's points start, in quads: behind the digits of 64 classes.
pub(crate) const BASE_AT: u32 = 16;

/// Quads of a lane's input.
pub(crate) const RECOVER_QUADS: u32 = 7;
/// Quads of a lane's input.
pub(crate) const VERIFY_QUADS: u32 = 11;

/// What a valid lane's status is.
pub(crate) const STATUS_VALID: u32 = 1;

/// A unit of the Eisenstein integers: the power of w, and whether it is negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) power: u32,
    pub(crate) negative: bool,
}

const fn unit(power: u32, negative: bool) -> Unit {
    Unit { power, negative }
}

/// A walk from 1 to every digit, up to units: what is added at each step.
pub(crate) const PATH: [Unit; TABLE_ENTRIES as usize - 1] = [
    unit(2, true),
    unit(1, true),
    unit(0, false),
    unit(0, false),
    unit(1, false),
    unit(0, true),
    unit(2, true),
    unit(0, true),
    unit(2, true),
    unit(0, false),
];

/// The walk, three bits a step.
const UNIT_PATH: u32 = {
    let mut packed = 0;
    let mut step = PATH.len();
    while step > 0 {
        step -= 1;
        let Unit { power, negative } = PATH[step];
        packed = packed << 3 | if negative { power | DIGIT_NEGATIVE } else { power };
    }
    packed
};

/// A cube root of one in the field, by which the endomorphism multiplies x.
const BETA: [u8; 32] = [
    0x7a, 0xe9, 0x6a, 0x2b, 0x65, 0x7c, 0x07, 0x10, 0x6e, 0x64, 0x47, 0x9e, 0xac, 0x34, 0x34, 0xe9, 0x9c, 0xf0, 0x49,
    0x75, 0x12, 0xf5, 0x89, 0x95, 0xc1, 0x39, 0x6c, 0x28, 0x71, 0x95, 0x01, 0xee,
];

/// The generator G (SEC 2, secp256k1).
const GENERATOR_X: [u8; 32] = [
    0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b, 0x07, 0x02, 0x9b, 0xfc,
    0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98,
];
const GENERATOR_Y: [u8; 32] = [
    0x48, 0x3a, 0xda, 0x77, 0x26, 0xa3, 0xc4, 0x65, 0x5d, 0xa4, 0xfb, 0xfc, 0x0e, 0x11, 0x08, 0xa8, 0xfd, 0x17, 0xb4,
    0x48, 0xa6, 0x85, 0x54, 0x19, 0x9c, 0x47, 0xd0, 0x8f, 0xfb, 0x10, 0xd4, 0xb8,
];

const NUMBERS: &[(&str, u32)] = &[
    ("SCRATCH_TILE", SCRATCH_TILE),
    ("SCRATCH_QUADS", SCRATCH_QUADS),
    ("SLOT_STATE", SLOT_STATE),
    ("SLOT_BASE", SLOT_BASE),
    ("SLOT_POINT", SLOT_POINT),
    ("SLOT_DIGITS", SLOT_DIGITS),
    ("SLOT_SUM", SLOT_SUM),
    ("SLOT_RESULT", SLOT_RESULT),
    ("SLOT_PREFIX", SLOT_PREFIX),
    ("SLOT_TABLE", SLOT_TABLE),
    ("TABLE_ENTRIES", TABLE_ENTRIES),
    ("TABLE_ENTRY_QUADS", TABLE_ENTRY_QUADS),
    ("SCALAR_RUN", SCALAR_RUN),
    ("FIELD_RUN", FIELD_RUN),
    ("DIGITS", DIGITS),
    ("DIGIT_WORDS", DIGIT_WORDS),
    ("DIGIT_ZERO", DIGIT_ZERO),
    ("DIGIT_NEGATIVE", DIGIT_NEGATIVE),
    ("BASE_WINDOW_BITS", BASE_WINDOW_BITS),
    ("BASE_WINDOWS", BASE_WINDOWS),
    ("BASE_AT", BASE_AT),
    ("RECOVER_QUADS", RECOVER_QUADS),
    ("VERIFY_QUADS", VERIFY_QUADS),
    ("UNIT_PATH", UNIT_PATH),
];

/// Each constant as WGSL declares it, on one line: numbers of 32 and of 256 bits, and the reasons.
pub(super) fn declarations() -> Vec<(&'static str, String)> {
    let words = |name: &str, number: &[u8; 32]| {
        let words = words_of(number).map(|word| format!("{word:#x}u")).join(", ");
        format!("const {name}: array<u32, 8> = array<u32, 8>({words});")
    };
    let numbers =
        [("ORDER", ORDER), ("HALF_ORDER", HALF_ORDER), ("PRIME", PRIME), ("PRIME_MINUS_ORDER", PRIME_MINUS_ORDER)];
    let numbers = numbers.into_iter().chain([("BETA", BETA)]).map(|(name, number)| (name, words(name, &number)));
    let plain = NUMBERS.iter().map(|(name, value)| (*name, format!("const {name}: u32 = {value}u;")));
    let generator = [words("GENERATOR_X", &GENERATOR_X), words("GENERATOR_Y", &GENERATOR_Y)].join(" ");
    let reasons = Reason::ALL.into_iter().map(|reason| {
        let name = reason.code().to_uppercase().replace('-', "_");
        format!("const REASON_{name}: u32 = {}u;", reason as u8)
    });
    let statuses = std::iter::once(format!("const STATUS_VALID: u32 = {STATUS_VALID}u;")).chain(reasons);
    plain
        .chain(numbers)
        .chain([("GENERATOR", generator), ("REASONS", statuses.collect::<Vec<_>>().join(" "))])
        .collect()
}

/// A big-endian number in words, the least significant first.
pub(crate) fn words_of(number: &[u8; 32]) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().rev().zip(number.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

/// The same the other way round.
pub(crate) fn number_of(words: &[u32; 8]) -> [u8; 32] {
    let mut number = [0; 32];
    for (bytes, word) in number.as_chunks_mut::<4>().0.iter_mut().rev().zip(words) {
        *bytes = word.to_be_bytes();
    }
    number
}
