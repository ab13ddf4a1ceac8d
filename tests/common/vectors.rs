//! The project's own vectors: what `cargo xtask vectors` writes to `fixtures/ecdsa.json`.
//!
//! Keys, digests and nonces are SHA-256 of a seed and a counter; the signatures are made with k256's arithmetic. Each
//! expectation follows from how the case is built, and libsecp256k1 must agree before the case is taken.

use k256::{AffinePoint, ProjectivePoint, Scalar};
use phalanx::scheme::ecdsa::{
    HALF_ORDER, KeyBytes, ORDER, PRIME, PRIME_MINUS_ORDER, RecoverItem, SignatureBytes, Signer, VerifyItem,
};
use phalanx::{Reason, Rules};

use super::curve::{
    self, Signed, add, bytes, compressed, lift, negated, reduced, sign, small, subtract, times_generator, uncompressed,
};
use super::oracle;
use super::stream::Stream;

/// The cases, in the order they are written.
#[derive(Default)]
pub(crate) struct Vectors {
    recover: Vec<(String, RecoverItem, Result<Signer, Reason>)>,
    verify: Vec<(String, VerifyItem, Result<(), Reason>)>,
}

/// The text of `fixtures/ecdsa.json`.
pub(crate) fn json() -> String {
    let mut vectors = Vectors::default();
    vectors.signatures();
    vectors.digests();
    vectors.ranges();
    vectors.recovery_ids();
    vectors.ephemeral_points();
    vectors.sums();
    vectors.keys();
    vectors.render()
}

impl Vectors {
    fn recover(&mut self, name: impl Into<String>, item: RecoverItem, expected: Result<Signer, Reason>) {
        let name = name.into();
        assert_eq!(oracle::recover(&item), expected, "libsecp256k1, {name}");
        self.recover.push((name, item, expected));
    }

    fn verify(&mut self, name: impl Into<String>, item: VerifyItem, expected: Result<(), Reason>) {
        let name = name.into();
        assert_eq!(oracle::verify(&item), expected, "libsecp256k1, {name}");
        self.verify.push((name, item, expected));
    }

    /// Ordinary signatures under each rules, with s low and high.
    fn signatures(&mut self) {
        let mut stream = Stream::new("phalanx vectors: signatures");
        for (index, rules) in Rules::ALL.into_iter().cycle().take(30).enumerate() {
            let (secret, digest, nonce) = (reduced(stream.block()), stream.block(), reduced(stream.block()));
            let key = times_generator(secret).expect("not at infinity");
            let signed = sign(secret, reduced(digest), nonce).expect("neither r nor s is zero");
            let is_low = signed.signature.s <= HALF_ORDER;
            let low = if is_low { signed } else { negated(signed) };
            for (form, Signed { signature, recovery_id }) in [("low s", low), ("high s", negated(low))] {
                let is_right = form == "low s" || !rules.requires_low_s();
                let name = format!("signature {index}, {form}");
                let item = RecoverItem { digest, signature, recovery_id, rules };
                self.recover(&name, item, if is_right { Ok(signer(&key)) } else { Err(Reason::HighS) });
                let key = if index % 2 == 0 { compressed(&key) } else { uncompressed(&key) };
                let item = VerifyItem { digest, signature, key, rules };
                self.verify(&name, item, if is_right { Ok(()) } else { Err(Reason::HighS) });
            }
            // The same under a digest of one bit more or less.
            let mut other = digest;
            other[index % 32] ^= 1;
            let item = VerifyItem { digest: other, signature: low.signature, key: compressed(&key), rules };
            self.verify(format!("signature {index}, another digest"), item, Err(Reason::Mismatch));
        }
    }

    /// Digests of n and above are taken modulo n.
    fn digests(&mut self) {
        let mut stream = Stream::new("phalanx vectors: digests");
        let rules = Rules::Sec1;
        for (name, digest) in [
            ("0", small(0)),
            ("1", small(1)),
            ("n - 1", subtract(ORDER, small(1))),
            ("n", ORDER),
            ("n + 1", add(ORDER, small(1))),
            ("2^256 - 1", [0xff; 32]),
        ] {
            let (secret, nonce) = (reduced(stream.block()), reduced(stream.block()));
            let key = times_generator(secret).expect("not at infinity");
            let Signed { signature, recovery_id } =
                sign(secret, reduced(digest), nonce).expect("neither r nor s is zero");
            let name = format!("digest {name}");
            self.recover(&name, RecoverItem { digest, signature, recovery_id, rules }, Ok(signer(&key)));
            self.verify(&name, VerifyItem { digest, signature, key: compressed(&key), rules }, Ok(()));
        }
    }

    /// r and s at the limits of `[1, n - 1]`, and s at those of its lower half.
    fn ranges(&mut self) {
        let one = small(1);
        let g = curve::x(&AffinePoint::GENERATOR);
        let largest = [0xff; 32];
        for (name, r, s, reason) in [
            ("r = 0", small(0), one, Some(Reason::RIsZero)),
            ("r = n", ORDER, one, Some(Reason::ROutOfRange)),
            ("r = n + 1", add(ORDER, one), one, Some(Reason::ROutOfRange)),
            ("r = 2^256 - 1", largest, one, Some(Reason::ROutOfRange)),
            ("s = 0", g, small(0), Some(Reason::SIsZero)),
            ("s = n", g, ORDER, Some(Reason::SOutOfRange)),
            ("s = n + 1", g, add(ORDER, one), Some(Reason::SOutOfRange)),
            ("s = 2^256 - 1", g, largest, Some(Reason::SOutOfRange)),
            ("r = 0 and s = 0", small(0), small(0), Some(Reason::RIsZero)),
            ("r = n and s = n", ORDER, ORDER, Some(Reason::ROutOfRange)),
            ("s = 1", g, one, None),
            ("s = n / 2", g, HALF_ORDER, None),
            ("s = n / 2 + 1", g, add(HALF_ORDER, one), Some(Reason::HighS)),
            ("s = n - 1", g, subtract(ORDER, one), Some(Reason::HighS)),
        ] {
            let signature = SignatureBytes { r, s };
            let digest = small(7);
            // The key with which r = x(G) fits.
            let fitting = curve::key_of(&AffinePoint::GENERATOR, reduced(s), reduced(digest));
            let key = fitting.unwrap_or(AffinePoint::GENERATOR);
            for rules in [Rules::Sec1, Rules::EthFrontier, Rules::EthTyped, Rules::BitcoinConsensus] {
                let reason = reason.filter(|reason| *reason != Reason::HighS || rules.requires_low_s());
                let name = format!("{name}, {rules:?}");
                let recovered = reason.map_or_else(|| Ok(signer(&key)), Err);
                self.recover(&name, RecoverItem { digest, signature, recovery_id: 0, rules }, recovered);
                let item = VerifyItem { digest, signature, key: compressed(&key), rules };
                self.verify(&name, item, reason.map_or(Ok(()), Err));
            }
        }
    }

    /// The ids that no rules allow, those that only some do, and the same beside another defect.
    fn recovery_ids(&mut self) {
        let digest = small(11);
        let r = curve::x(&AffinePoint::GENERATOR);
        for rules in Rules::ALL {
            for recovery_id in [2, 3, 4, 255] {
                let signature = SignatureBytes { r, s: small(5) };
                let item = RecoverItem { digest, signature, recovery_id, rules };
                let is_allowed = recovery_id <= rules.max_recovery_id();
                let expected = if is_allowed { Reason::RPlusNOutOfRange } else { Reason::RecoveryId };
                self.recover(format!("recovery id {recovery_id}, {rules:?}"), item, Err(expected));
            }
        }
        let signature = SignatureBytes { r: small(0), s: ORDER };
        let item = RecoverItem { digest, signature, recovery_id: 4, rules: Rules::Sec1 };
        self.recover("recovery id 4, r = 0 and s = n", item, Err(Reason::RecoveryId));
    }

    /// R.x = r + n: allowed, just below p, at p, and wrapped around; x coordinates without a point; Q at infinity.
    fn ephemeral_points(&mut self) {
        let mut stream = Stream::new("phalanx vectors: ephemeral points");
        let rules = Rules::Sec1;
        let lowest = (1..).map(small).take(12);
        let highest = (1..).map(|below| subtract(PRIME_MINUS_ORDER, small(below))).take(12);
        for (index, r) in lowest.chain(highest).enumerate() {
            let (s, digest) = (reduced(stream.block()), stream.block());
            let signature = SignatureBytes { r, s: bytes(s) };
            let y_is_odd = index % 2 == 1;
            let recovery_id = 2 | u8::from(y_is_odd);
            let item = RecoverItem { digest, signature, recovery_id, rules };
            let Some(ephemeral) = lift(add(r, ORDER), y_is_odd) else {
                self.recover(format!("R.x = r + n is not on the curve, {index}"), item, Err(Reason::RNotOnCurve));
                continue;
            };
            let key = curve::key_of(&ephemeral, s, reduced(digest)).expect("s is random");
            let name = format!("R.x = r + n, {index}");
            self.recover(&name, item, Ok(signer(&key)));
            self.verify(&name, VerifyItem { digest, signature, key: compressed(&key), rules }, Ok(()));
        }
        for (name, start) in [("p", PRIME_MINUS_ORDER), ("2^256", subtract(small(0), ORDER))] {
            for above in 0..=4 {
                let r = add(start, small(above));
                let (s, digest) = (reduced(stream.block()), stream.block());
                let signature = SignatureBytes { r, s: bytes(s) };
                let item = RecoverItem { digest, signature, recovery_id: 2, rules };
                let name = format!("r + n = {name} + {above}");
                self.recover(&name, item, Err(Reason::RPlusNOutOfRange));
                let Some(wrapped) = lift(small(above), false) else { continue };
                let inverse: Scalar = Option::from(reduced(r).invert()).expect("r is not zero");
                let point = ProjectivePoint::from(wrapped) * s - ProjectivePoint::GENERATOR * reduced(digest);
                let key = compressed(&(point * inverse).to_affine());
                self.verify(&name, VerifyItem { digest, signature, key, rules }, Err(Reason::Mismatch));
            }
        }
        for r in (1..24).map(small).filter(|x| lift(*x, false).is_none()) {
            let signature = SignatureBytes { r, s: stream.block() };
            let item = RecoverItem { digest: stream.block(), signature, recovery_id: 0, rules };
            self.recover(format!("no point has x = {}", r[31]), item, Err(Reason::RNotOnCurve));
        }
        for index in 0..4 {
            // s R = z G.
            let (s, nonce) = (reduced(stream.block()), reduced(stream.block()));
            let ephemeral = times_generator(nonce).expect("not at infinity");
            let digest = bytes(s * nonce);
            let signature = SignatureBytes { r: curve::x(&ephemeral), s: bytes(s) };
            let recovery_id = u8::from(curve::y_is_odd(&ephemeral));
            let name = format!("s R = z G, {index}");
            let item = RecoverItem { digest, signature, recovery_id, rules };
            self.recover(&name, item, Err(Reason::KeyAtInfinity));
            // With the other y it is s R = -z G.
            let key = curve::key_of(&-ephemeral, s, reduced(digest)).expect("z is not zero");
            let item = RecoverItem { recovery_id: recovery_id ^ 1, ..item };
            self.recover(format!("{name}, the other y"), item, Ok(signer(&key)));
            self.verify(&name, VerifyItem { digest, signature, key: compressed(&key), rules }, Ok(()));
        }
    }

    /// a G + b P for small a, b and P = p G, where doublings and cancellations meet.
    fn sums(&mut self) {
        let rules = Rules::Sec1;
        let scalar = |value: i64| {
            let magnitude = reduced(small(value.unsigned_abs()));
            if value < 0 { -magnitude } else { magnitude }
        };
        for a in [0, 1, -1, 2] {
            for b in [1, -1, 2] {
                for p in [1, -1, 2] {
                    let name = format!("{a} G + {b} ({p} G)");
                    let (a, b, p) = (scalar(a), scalar(b), scalar(p));
                    let point = times_generator(p).expect("p is not zero");
                    let sum = times_generator(a + b * p);

                    let r = reduced(curve::x(&point));
                    let signature = SignatureBytes { r: bytes(r), s: bytes(b * r) };
                    let recovery_id = u8::from(curve::y_is_odd(&point));
                    let item = RecoverItem { digest: bytes(-(a * r)), signature, recovery_id, rules };
                    self.recover(&name, item, sum.as_ref().map(signer).ok_or(Reason::KeyAtInfinity));

                    let r = reduced(curve::x(&sum.unwrap_or(AffinePoint::GENERATOR)));
                    let inverse: Scalar = Option::from(b.invert()).expect("b is not zero");
                    let s = r * inverse;
                    let signature = SignatureBytes { r: bytes(r), s: bytes(s) };
                    let item = VerifyItem { digest: bytes(a * s), signature, key: compressed(&point), rules };
                    self.verify(&name, item, sum.map(|_| ()).ok_or(Reason::Mismatch));
                }
            }
        }
    }

    /// Keys that are no points, or not encoded as such.
    fn keys(&mut self) {
        let digest = small(99);
        let secret = reduced(small(5));
        let key = times_generator(secret).expect("not at infinity");
        let signature = sign(secret, reduced(digest), reduced(small(3))).expect("neither r nor s is zero").signature;
        let prefixed = |prefix: u8, x: [u8; 32]| {
            let mut bytes = [prefix; 33];
            bytes[1..].copy_from_slice(&x);
            KeyBytes::Compressed(bytes)
        };
        let pair = |x: [u8; 32], y: [u8; 32]| {
            let mut xy = [0; 64];
            xy[..32].copy_from_slice(&x);
            xy[32..].copy_from_slice(&y);
            KeyBytes::Uncompressed(xy)
        };
        let x = curve::x(&key);
        let y = curve::coordinates(&key)[32..].try_into().expect("32 bytes");
        let not_on_curve = (1..100).map(small).find(|x| lift(*x, false).is_none()).expect("about half of them");
        let right_prefix = 2 | u8::from(curve::y_is_odd(&key));
        for (name, key, expected) in [
            ("compressed", prefixed(right_prefix, x), Ok(())),
            ("uncompressed", pair(x, y), Ok(())),
            ("negated", prefixed(right_prefix ^ 1, x), Err(Reason::Mismatch)),
            ("prefix 0", prefixed(0, x), Err(Reason::KeyEncoding)),
            ("prefix 4", prefixed(4, x), Err(Reason::KeyEncoding)),
            ("prefix 5", prefixed(5, x), Err(Reason::KeyEncoding)),
            ("x = p", prefixed(2, PRIME), Err(Reason::KeyEncoding)),
            ("x = p + 1", prefixed(2, add(PRIME, small(1))), Err(Reason::KeyEncoding)),
            ("x = 2^256 - 1", prefixed(3, [0xff; 32]), Err(Reason::KeyEncoding)),
            ("y = p", pair(x, PRIME), Err(Reason::KeyEncoding)),
            ("x = p, uncompressed", pair(PRIME, y), Err(Reason::KeyEncoding)),
            ("x is not on the curve", prefixed(2, not_on_curve), Err(Reason::KeyNotOnCurve)),
            ("(x, x)", pair(x, x), Err(Reason::KeyNotOnCurve)),
            ("(0, 0)", pair(small(0), small(0)), Err(Reason::KeyNotOnCurve)),
        ] {
            let item = VerifyItem { digest, signature, key, rules: Rules::Sec1 };
            self.verify(format!("key: {name}"), item, expected);
            // The key's defect comes before the signature's.
            let item = VerifyItem { signature: SignatureBytes { r: small(0), s: ORDER }, ..item };
            let expected = expected.and(Err(Reason::RIsZero)).map_err(|reason| reason.min(Reason::RIsZero));
            self.verify(format!("key: {name}, r = 0"), item, expected);
        }
    }

    /// One case a line, so that a change shows as one.
    fn render(&self) -> String {
        let recover = self.recover.iter().map(|(name, item, expected)| {
            let outcome = match expected {
                Ok(Signer { public_key, address }) => {
                    format!(r#""public_key":"{}","address":"{}""#, hex::encode(public_key), hex::encode(address))
                }
                Err(reason) => format!(r#""reason":"{}""#, reason.code()),
            };
            let signed = signed(item.rules, &item.digest, &item.signature);
            format!(r#"{{"name":"{name}",{signed},"recovery_id":{},{outcome}}}"#, item.recovery_id)
        });
        let verify = self.verify.iter().map(|(name, item, expected)| {
            let key = match &item.key {
                KeyBytes::Compressed(bytes) => hex::encode(bytes),
                KeyBytes::Uncompressed(xy) => format!("04{}", hex::encode(xy)),
            };
            let outcome = match expected {
                Ok(()) => r#""valid":true"#.to_owned(),
                Err(reason) => format!(r#""reason":"{}""#, reason.code()),
            };
            let signed = signed(item.rules, &item.digest, &item.signature);
            format!(r#"{{"name":"{name}",{signed},"key":"{key}",{outcome}}}"#)
        });
        let lines = |cases: Vec<String>| cases.join(",\n");
        let (recover, verify) = (lines(recover.collect()), lines(verify.collect()));
        format!("{{\n\"recover\": [\n{recover}\n],\n\"verify\": [\n{verify}\n]\n}}\n")
    }
}

fn signed(rules: Rules, digest: &[u8; 32], signature: &SignatureBytes) -> String {
    let [digest, r, s] = [digest, &signature.r, &signature.s].map(hex::encode);
    format!(r#""rules":"{rules:?}","digest":"{digest}","r":"{r}","s":"{s}""#)
}

fn signer(key: &AffinePoint) -> Signer {
    let public_key = curve::coordinates(key);
    let mut address = [0; 20];
    address.copy_from_slice(&oracle::keccak256(&public_key)[12..]);
    Signer { public_key, address }
}
