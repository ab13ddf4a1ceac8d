//! How keys and signatures arrive as bytes.

use super::{HALF_ORDER, ORDER, PRIME};
use crate::rules::Rules;
use crate::verdict::Reason;

/// r and s as received: 32 bytes each, big-endian, of any value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignatureBytes {
    /// The x coordinate of R modulo n, if the signature is valid.
    pub r: [u8; 32],
    /// The proof.
    pub s: [u8; 32],
}

impl SignatureBytes {
    /// Checks that r and s are in `[1, n - 1]`, and that s is low where the rules ask for it.
    pub fn check(&self, rules: Rules) -> Result<(), Reason> {
        if self.r == [0; 32] {
            return Err(Reason::RIsZero);
        }
        if self.r >= ORDER {
            return Err(Reason::ROutOfRange);
        }
        if self.s == [0; 32] {
            return Err(Reason::SIsZero);
        }
        if self.s >= ORDER {
            return Err(Reason::SOutOfRange);
        }
        if rules.requires_low_s() && self.s > HALF_ORDER {
            return Err(Reason::HighS);
        }
        Ok(())
    }

    /// Parses the fixed-length form, r and s of 32 bytes each (IEEE P1363).
    pub fn from_p1363(bytes: &[u8]) -> Result<Self, Reason> {
        let (r, s) = bytes.split_at_checked(32).ok_or(Reason::SignatureEncoding)?;
        Ok(Self {
            r: r.try_into().map_err(|_| Reason::SignatureEncoding)?,
            s: s.try_into().map_err(|_| Reason::SignatureEncoding)?,
        })
    }

    /// Parses strict DER (X.690; for Bitcoin, BIP 66): minimal lengths, minimal non-negative integers, no
    /// byte more. An integer of more than 256 bits is well encoded and out of range, which is what it is
    /// then reported as; BIP 66 cuts the encoding off at 72 bytes, so for the longest of them it has another
    /// reason and the same verdict.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Reason> {
        let mut rest = bytes;
        let sequence = der_element(&mut rest, 0x30)?;
        if !rest.is_empty() {
            return Err(Reason::SignatureEncoding);
        }
        let mut rest = sequence;
        let r = der_integer(&mut rest)?;
        let s = der_integer(&mut rest)?;
        if !rest.is_empty() {
            return Err(Reason::SignatureEncoding);
        }
        Ok(Self { r: to_256_bits(r), s: to_256_bits(s) })
    }

    /// Parses DER as leniently as Bitcoin did before BIP 66 and still must for blocks of that time: over-long
    /// lengths, padded, unpadded or negative integers (taken as unsigned), bytes that follow. An integer of more than
    /// 256 bits is reported as out of range; Bitcoin's parser makes both zero, which is as invalid and not malformed.
    ///
    /// The grammar is that of `ecdsa_signature_parse_der_lax` in libsecp256k1's contrib folder.
    pub fn from_der_lax(bytes: &[u8]) -> Result<Self, Reason> {
        let mut rest = bytes;
        // The sequence's own length is read and not enforced.
        if take_byte(&mut rest)? != 0x30 {
            return Err(Reason::SignatureEncoding);
        }
        let first = take_byte(&mut rest)?;
        if first & 0x80 != 0 {
            take(&mut rest, usize::from(first & 0x7f))?;
        }
        let r = lax_integer(&mut rest)?;
        let s = lax_integer(&mut rest)?;
        Ok(Self { r: to_256_bits(r), s: to_256_bits(s) })
    }
}

/// A public key as received; whether it is a point is checked later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyBytes {
    /// A prefix of 2 (even y) or 3 (odd y), and x.
    Compressed([u8; 33]),
    /// x and y.
    Uncompressed([u8; 64]),
}

impl KeyBytes {
    /// Parses the forms of SEC 1: 33 bytes led by 2 or 3, or 65 bytes led by 4. Under Bitcoin's consensus
    /// also the hybrid form, 65 bytes led by 6 (even y) or 7 (odd y).
    pub fn parse(bytes: &[u8], rules: Rules) -> Result<Self, Reason> {
        match (bytes.len(), bytes.first()) {
            (33, Some(2 | 3)) => bytes.try_into().map(Self::Compressed).map_err(|_| Reason::KeyEncoding),
            (65, Some(prefix @ (4 | 6 | 7))) => {
                let hybrid_is_right = rules == Rules::BitcoinConsensus && prefix & 1 == bytes[64] & 1;
                if *prefix != 4 && !hybrid_is_right {
                    return Err(Reason::KeyEncoding);
                }
                bytes[1..].try_into().map(Self::Uncompressed).map_err(|_| Reason::KeyEncoding)
            }
            _ => Err(Reason::KeyEncoding),
        }
    }

    /// Checks what needs no curve arithmetic: the prefix, and that each coordinate is below p. Every backend makes it
    /// first, since a key need not come from [`KeyBytes::parse`].
    pub fn check(&self) -> Result<(), Reason> {
        let coordinates = match self {
            Self::Compressed([2 | 3, x @ ..]) => &x[..],
            Self::Compressed(_) => return Err(Reason::KeyEncoding),
            Self::Uncompressed(xy) => xy,
        };
        let below_prime = coordinates.chunks(32).all(|coordinate| coordinate < &PRIME[..]);
        if below_prime { Ok(()) } else { Err(Reason::KeyEncoding) }
    }

    /// A key that is no point: x = y = 0.
    pub(super) const fn placeholder() -> Self {
        Self::Uncompressed([0; 64])
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Reason> {
    let (taken, left) = rest.split_at_checked(length).ok_or(Reason::SignatureEncoding)?;
    *rest = left;
    Ok(taken)
}

fn take_byte(rest: &mut &[u8]) -> Result<u8, Reason> {
    take(rest, 1).map(|byte| byte[0])
}

/// Reads one element with the given tag and a minimally encoded length.
fn der_element<'a>(rest: &mut &'a [u8], tag: u8) -> Result<&'a [u8], Reason> {
    if take_byte(rest)? != tag {
        return Err(Reason::SignatureEncoding);
    }
    let length = match take_byte(rest)? {
        short @ 0..=0x7f => usize::from(short),
        // "The definite form of length encoding shall be used, encoded in the minimum number of octets" (X.690, 10.1).
        long @ 0x81..=0x84 => {
            let bytes = take(rest, usize::from(long & 0x7f))?;
            let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            if bytes[0] == 0 || length < 0x80 {
                return Err(Reason::SignatureEncoding);
            }
            length
        }
        _ => return Err(Reason::SignatureEncoding),
    };
    take(rest, length)
}

/// Reads a minimally encoded non-negative integer; leading zeros removed.
fn der_integer<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Reason> {
    match der_element(rest, 0x02)? {
        [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => Err(Reason::SignatureEncoding),
        integer => Ok(without_leading_zeros(integer)),
    }
}

/// Reads an integer whose length may be written in any way; leading zeros removed.
fn lax_integer<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Reason> {
    if take_byte(rest)? != 0x02 {
        return Err(Reason::SignatureEncoding);
    }
    let first = take_byte(rest)?;
    let length = if first & 0x80 == 0 {
        usize::from(first)
    } else {
        let bytes = without_leading_zeros(take(rest, usize::from(first & 0x7f))?);
        if bytes.len() > 3 {
            return Err(Reason::SignatureEncoding);
        }
        bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
    };
    take(rest, length).map(without_leading_zeros)
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// An integer without leading zeros in 32 bytes; in place of one that does not fit, the largest 256-bit value, which is
/// out of range.
fn to_256_bits(integer: &[u8]) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    if let Some(padding) = 32usize.checked_sub(integer.len()) {
        bytes[..padding].fill(0);
        bytes[padding..].copy_from_slice(integer);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(r: &[u8], s: &[u8]) -> Vec<u8> {
        let body: Vec<u8> = [&[2, u8::try_from(r.len()).unwrap()], r, &[2, u8::try_from(s.len()).unwrap()], s].concat();
        [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    }

    #[test]
    fn strict_der_takes_the_one_encoding_of_each_pair() {
        let parsed = SignatureBytes::from_der(&sized(&[1], &[0, 0x80])).unwrap();
        assert_eq!((parsed.r[31], parsed.s[31]), (1, 0x80));
        let zero = SignatureBytes::from_der(&sized(&[0], &[0])).unwrap();
        assert_eq!(zero, SignatureBytes { r: [0; 32], s: [0; 32] });
        for malformed in [sized(&[0, 1], &[1]), sized(&[0x80], &[1]), sized(&[], &[1]), sized(&[0, 0], &[1])] {
            assert_eq!(SignatureBytes::from_der(&malformed), Err(Reason::SignatureEncoding), "{malformed:02x?}");
        }
        let mut trailing = sized(&[1], &[1]);
        trailing.push(0);
        assert_eq!(SignatureBytes::from_der(&trailing), Err(Reason::SignatureEncoding));
        for end in 0..8 {
            assert_eq!(SignatureBytes::from_der(&sized(&[1], &[1])[..end]), Err(Reason::SignatureEncoding));
        }
        let long = SignatureBytes::from_der(&sized(&[1; 33], &[1])).unwrap();
        assert_eq!(long.check(Rules::Sec1), Err(Reason::ROutOfRange));
    }

    #[test]
    fn strict_der_reads_lengths_of_any_size() {
        let element = |tag: u8, length: &[u8], content: &[u8]| [&[tag], length, content].concat();
        for (r_length, sequence_length) in [
            (vec![0x81, 0x80], vec![0x81, 0x86]),
            (vec![0x82, 1, 0], vec![0x82, 1, 7]),
            (vec![0x83, 1, 0x11, 0x70], vec![0x83, 1, 0x11, 0x78]),
        ] {
            let r = vec![1; r_length[1..].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))];
            let body = [element(2, &r_length, &r), element(2, &[1], &[1])].concat();
            let parsed = SignatureBytes::from_der(&element(0x30, &sequence_length, &body)).unwrap();
            assert_eq!(parsed.check(Rules::Sec1), Err(Reason::ROutOfRange));
            let padded = [&[sequence_length[0] + 1, 0], &sequence_length[1..]].concat();
            let padded = SignatureBytes::from_der(&element(0x30, &padded, &body));
            assert_eq!(padded, Err(Reason::SignatureEncoding));
        }
        for length in [&[0x81, 6][..], &[0x80], &[0x85, 0, 0, 0, 0, 6], &[0xff], &[0x84, 0xff, 0xff, 0xff, 0xff]] {
            let parsed = SignatureBytes::from_der(&element(0x30, length, &[2, 1, 1, 2, 1, 1]));
            assert_eq!(parsed, Err(Reason::SignatureEncoding), "{length:02x?}");
        }
    }

    #[test]
    fn lax_der_takes_what_old_blocks_hold() {
        let expected = SignatureBytes::from_der(&sized(&[1], &[2])).unwrap();
        let forms: [&[u8]; 5] = [
            &[0x30, 6, 2, 1, 1, 2, 1, 2],
            // Padded integers, and a byte after the end.
            &[0x30, 8, 2, 2, 0, 1, 2, 2, 0, 2, 0xff],
            // Lengths in the long form; the sequence's is wrong besides.
            &[0x30, 0x81, 0, 2, 0x81, 1, 1, 2, 0x82, 0, 1, 2],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 2, 1, 1, 2, 1, 2],
            &[0x30, 0, 2, 0x84, 0, 0, 0, 1, 1, 2, 1, 2],
        ];
        for form in forms {
            assert_eq!(SignatureBytes::from_der_lax(form), Ok(expected), "{form:02x?}");
        }
        let negative = SignatureBytes::from_der_lax(&sized(&[0xff], &[1])).unwrap();
        assert_eq!(negative.r[31], 0xff);
        let overflow = SignatureBytes::from_der_lax(&sized(&[1; 33], &[1])).unwrap();
        assert_eq!(overflow.check(Rules::BitcoinConsensus), Err(Reason::ROutOfRange));
        for end in 0..8 {
            assert_eq!(SignatureBytes::from_der_lax(&forms[0][..end]), Err(Reason::SignatureEncoding));
        }
    }

    #[test]
    fn range_checks_at_each_limit_and_its_neighbours() {
        let one = {
            let mut one = [0; 32];
            one[31] = 1;
            one
        };
        let minus_one = |mut limit: [u8; 32]| {
            limit[31] -= 1;
            limit
        };
        let plus_one = |mut limit: [u8; 32]| {
            limit[31] += 1;
            limit
        };
        let check = |r, s, rules| SignatureBytes { r, s }.check(rules);
        for rules in Rules::ALL {
            let high = if rules.requires_low_s() { Err(Reason::HighS) } else { Ok(()) };
            assert_eq!(check([0; 32], one, rules), Err(Reason::RIsZero));
            assert_eq!(check(one, [0; 32], rules), Err(Reason::SIsZero));
            assert_eq!(check(one, one, rules), Ok(()));
            assert_eq!(check(minus_one(ORDER), one, rules), Ok(()));
            assert_eq!(check(ORDER, one, rules), Err(Reason::ROutOfRange));
            assert_eq!(check([0xff; 32], one, rules), Err(Reason::ROutOfRange));
            assert_eq!(check(one, HALF_ORDER, rules), Ok(()));
            assert_eq!(check(one, plus_one(HALF_ORDER), rules), high);
            assert_eq!(check(one, minus_one(ORDER), rules), high);
            assert_eq!(check(one, ORDER, rules), Err(Reason::SOutOfRange));
        }
    }

    #[test]
    fn key_forms() {
        let key = |prefix: u8, length: usize, last: u8| {
            let mut key = vec![7; length];
            key[0] = prefix;
            key[length - 1] = last;
            key
        };
        for rules in Rules::ALL {
            for prefix in 0..=u8::MAX {
                let compressed = KeyBytes::parse(&key(prefix, 33, 1), rules).is_ok();
                assert_eq!(compressed, matches!(prefix, 2 | 3));
                for last in [2, 3] {
                    let hybrid = rules == Rules::BitcoinConsensus && prefix == 6 + (last & 1);
                    let parsed = KeyBytes::parse(&key(prefix, 65, last), rules);
                    assert_eq!(parsed.is_ok(), prefix == 4 || hybrid);
                }
            }
            for length in (1..100).filter(|length| ![33, 65].contains(length)) {
                assert_eq!(KeyBytes::parse(&key(4, length, 1), rules), Err(Reason::KeyEncoding));
            }
            assert_eq!(KeyBytes::parse(&[], rules), Err(Reason::KeyEncoding));
        }
    }
}
