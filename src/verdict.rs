//! What a check concludes about one item.

/// Why an item is invalid.
///
/// The discriminants are stable and shared with every backend: 0 stands for a lane nobody has written and 1
/// for a valid one, so neither is a reason. The checks run in the order of the variants, those that
/// need no curve arithmetic first, and the first that fails names the reason, on every backend. Parsing comes before all of them: an item that was rejected
/// there has its parser's reason, whatever else is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// The public key's bytes are no encoding of a point: a wrong length or prefix, or a coordinate of at least p.
    KeyEncoding = 2,
    /// The signature's bytes do not have the required encoding (DER, or the fixed-length form).
    SignatureEncoding = 3,
    /// The recovery id is larger than the rules allow.
    RecoveryId = 4,
    /// r is zero.
    RIsZero = 5,
    /// r is at least the group order n; for BIP-340, where it is a coordinate, at least the field prime p.
    ROutOfRange = 6,
    /// s is zero.
    SIsZero = 7,
    /// s is at least the group order n.
    SOutOfRange = 8,
    /// s is above n / 2 under rules that forbid it (EIP-2, BIP-62).
    HighS = 9,
    /// The recovery id asks for R.x = r + n, which is not below p.
    RPlusNOutOfRange = 10,
    /// The public key's bytes name no point of the curve.
    KeyNotOnCurve = 11,
    /// No point of the curve has the x coordinate that the signature names.
    RNotOnCurve = 12,
    /// The recovered public key is the point at infinity.
    KeyAtInfinity = 13,
    /// The equation does not hold.
    Mismatch = 14,
}

impl Reason {
    /// Every reason, in the order the checks run.
    pub const ALL: [Self; 13] = [
        Self::KeyEncoding,
        Self::SignatureEncoding,
        Self::RecoveryId,
        Self::RIsZero,
        Self::ROutOfRange,
        Self::SIsZero,
        Self::SOutOfRange,
        Self::HighS,
        Self::RPlusNOutOfRange,
        Self::KeyNotOnCurve,
        Self::RNotOnCurve,
        Self::KeyAtInfinity,
        Self::Mismatch,
    ];

    /// A stable identifier for programs: `high-s`, `r-out-of-range`, ….
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeyEncoding => "key-encoding",
            Self::KeyNotOnCurve => "key-not-on-curve",
            Self::SignatureEncoding => "signature-encoding",
            Self::RecoveryId => "recovery-id",
            Self::RIsZero => "r-is-zero",
            Self::ROutOfRange => "r-out-of-range",
            Self::SIsZero => "s-is-zero",
            Self::SOutOfRange => "s-out-of-range",
            Self::HighS => "high-s",
            Self::RPlusNOutOfRange => "r-plus-n-out-of-range",
            Self::RNotOnCurve => "r-not-on-curve",
            Self::KeyAtInfinity => "key-at-infinity",
            Self::Mismatch => "mismatch",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::KeyEncoding => "the public key is not validly encoded",
            Self::KeyNotOnCurve => "the public key is not a point of the curve",
            Self::SignatureEncoding => "the signature is not validly encoded",
            Self::RecoveryId => "the recovery id is larger than the rules allow",
            Self::RIsZero => "r is zero",
            Self::ROutOfRange => "r is not below the group order",
            Self::SIsZero => "s is zero",
            Self::SOutOfRange => "s is not below the group order",
            Self::HighS => "s is above half the group order (high s)",
            Self::RPlusNOutOfRange => "r + n is not below the field prime",
            Self::RNotOnCurve => "no point of the curve has r as its x coordinate",
            Self::KeyAtInfinity => "the recovered public key is the point at infinity",
            Self::Mismatch => "the signature does not match",
        })
    }
}

/// The outcome of checking one item. That an item could not be checked is an error, never a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Verdict<T> {
    /// The item is valid, and this is what the check yields.
    Valid(T),
    /// The item is invalid.
    Invalid(Reason),
}

impl<T> Verdict<T> {
    /// Whether the item is valid.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }

    /// The output of a valid item.
    #[must_use]
    pub fn valid(self) -> Option<T> {
        match self {
            Self::Valid(output) => Some(output),
            Self::Invalid(_) => None,
        }
    }

    /// The reason of an invalid item.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Valid(_) => None,
            Self::Invalid(reason) => Some(*reason),
        }
    }

    /// Maps the output of a valid item.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Verdict<U> {
        match self {
            Self::Valid(output) => Verdict::Valid(f(output)),
            Self::Invalid(reason) => Verdict::Invalid(reason),
        }
    }
}

impl<T> From<Result<T, Reason>> for Verdict<T> {
    fn from(result: Result<T, Reason>) -> Self {
        match result {
            Ok(output) => Self::Valid(output),
            Err(reason) => Self::Invalid(reason),
        }
    }
}

impl<T> From<Verdict<T>> for Result<T, Reason> {
    fn from(verdict: Verdict<T>) -> Self {
        match verdict {
            Verdict::Valid(output) => Ok(output),
            Verdict::Invalid(reason) => Err(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_one_are_no_reasons_and_codes_are_distinct() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(Reason::ALL.iter().all(|reason| *reason as u8 > 1));
        assert!(Reason::ALL.is_sorted_by_key(|reason| *reason as u8));
    }
}
