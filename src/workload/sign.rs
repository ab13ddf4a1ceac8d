//! Recoverable ECDSA signatures, many at a time, with the nonces of RFC 6979.
//!
//! The two inversions of a signature are shared by all that are made together. Variable time: the keys are derived
//! from a seed that anyone may read.

use alloy_primitives::{B256, Signature, U256};
use k256::elliptic_curve::ff::{BatchInverter, PrimeField};
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::scalar::IsHigh;
use k256::{AffinePoint, FieldBytes, Scalar};
use sha2::{Digest, Sha256};

use super::generator::generator_multiples_var;

/// A digest to be signed.
#[derive(Clone, Copy)]
pub(super) struct Request {
    /// The private key, not zero.
    pub(super) key: Scalar,
    pub(super) digest: B256,
}

/// Signs every digest with its key: as many signatures, in that order, with a low s and a y parity.
pub(super) fn sign_all(requests: &[Request]) -> Vec<Signature> {
    let mut nonces: Vec<_> = requests.iter().map(Nonces::new).collect();
    let firsts: Vec<_> = nonces.iter_mut().map(Nonces::next).collect();
    let signatures = sign_with(requests, &firsts);
    let retry = |(signature, (request, nonces)): (Option<Signature>, (&Request, &mut Nonces))| {
        let mut signature = signature;
        loop {
            match signature {
                Some(signature) => return signature,
                None => signature = sign_with(&[*request], &[nonces.next()]).pop().flatten(),
            }
        }
    };
    signatures.into_iter().zip(requests.iter().zip(&mut nonces)).map(retry).collect()
}

/// Signs with the nonces given (SEC 1, 4.1.3); `None` where a nonce makes no signature that Ethereum accepts.
fn sign_with(requests: &[Request], nonces: &[Scalar]) -> Vec<Option<Signature>> {
    let points = generator_multiples_var(nonces);
    let mut inverses = nonces.to_vec();
    BatchInverter::invert_with_external_scratch(&mut inverses, &mut vec![Scalar::ZERO; nonces.len()]);
    requests.iter().zip(points.iter().zip(inverses)).map(|(request, (r, k))| finish(request, r, k)).collect()
}

fn finish(request: &Request, point: &AffinePoint, inverse: Scalar) -> Option<Signature> {
    // An x of n or more would need a recovery id above 1, which transactions do not have.
    let r: Scalar = Option::from(Scalar::from_repr(point.x()))?;
    let z = <Scalar as Reduce<FieldBytes>>::reduce(&request.digest.0.into());
    let s = inverse * (z + r * request.key);
    if bool::from(r.is_zero() | s.is_zero()) {
        return None;
    }
    let (is_high, y_is_odd) = (bool::from(s.is_high()), bool::from(point.y_is_odd()));
    let low = if is_high { -s } else { s };
    let [r, s] = [r, low].map(|scalar| U256::from_be_bytes(scalar.to_repr().into()));
    Some(Signature::new(r, s, y_is_odd ^ is_high))
}

/// The nonces of one key and digest: RFC 6979, 3.2, with HMAC-SHA-256. The names are the RFC's.
struct Nonces {
    k: [u8; 32],
    v: [u8; 32],
    /// Whether a candidate has been taken, so that the next one is only reached by a step.
    taken: bool,
}

impl Nonces {
    /// Steps a to g.
    fn new(request: &Request) -> Self {
        let key: [u8; 32] = request.key.to_repr().into();
        // bits2octets: the digest modulo n.
        let digest: [u8; 32] = <Scalar as Reduce<FieldBytes>>::reduce(&request.digest.0.into()).to_repr().into();
        let mut nonces = Self { k: [0; 32], v: [1; 32], taken: false };
        nonces.update(&[&[0], &key, &digest]);
        nonces.update(&[&[1], &key, &digest]);
        nonces
    }

    /// Step h: the next candidate in the range.
    fn next(&mut self) -> Scalar {
        loop {
            if std::mem::replace(&mut self.taken, true) {
                self.update(&[&[0]]);
            }
            self.v = hmac(&self.k, &[&self.v]);
            let candidate: Option<Scalar> = Scalar::from_repr(self.v.into()).into();
            if let Some(nonce) = candidate.filter(|candidate| !bool::from(candidate.is_zero())) {
                return nonce;
            }
        }
    }

    /// K = HMAC(K, V ‖ parts), V = HMAC(K, V).
    fn update(&mut self, parts: &[&[u8]]) {
        self.k = hmac(&self.k, &[&[&self.v[..]], parts].concat());
        self.v = hmac(&self.k, &[&self.v]);
    }
}

/// HMAC-SHA-256 (RFC 2104) with a key of 32 bytes.
fn hmac(key: &[u8; 32], message: &[&[u8]]) -> [u8; 32] {
    let keyed = |pad: u8| {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        Sha256::new_with_prefix(block)
    };
    let inner = message.iter().fold(keyed(0x36), Digest::chain_update).finalize();
    keyed(0x5c).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use secp256k1::ecdsa::RecoverableSignature;
    use secp256k1::{Message, SecretKey};

    use super::*;

    /// libsecp256k1 derives its nonces by RFC 6979 too, so every byte must agree.
    #[test]
    fn signatures_are_those_of_libsecp256k1() {
        let scalar = |bytes: [u8; 32]| <Scalar as Reduce<FieldBytes>>::reduce(&bytes.into());
        let mut requests: Vec<_> = (1..=70_u8)
            .map(|index| Request {
                key: scalar(hmac(&[index; 32], &[])),
                digest: hmac(&[index; 32], &[b"digest"]).into(),
            })
            .collect();
        // Keys at the ends of the range, digests at and above the order.
        let digests = [[0; 32], [0xff; 32], crate::scheme::ecdsa::ORDER, crate::scheme::ecdsa::HALF_ORDER];
        for key in [Scalar::ONE, -Scalar::ONE] {
            requests.extend(digests.map(|digest| Request { key, digest: digest.into() }));
        }
        for length in [0, 1, 2, requests.len()] {
            let requests = &requests[..length];
            let signatures = sign_all(requests);
            assert_eq!(signatures.len(), length);
            for (request, signature) in requests.iter().zip(signatures) {
                let key = SecretKey::from_secret_bytes(request.key.to_repr().into()).unwrap();
                let message = Message::from_digest(request.digest.0);
                let (id, expected) = RecoverableSignature::sign_ecdsa_recoverable(message, &key).serialize_compact();
                assert_eq!(signature.as_bytes()[..64], expected);
                assert_eq!(u8::from(signature.v()), id.to_u8());
            }
        }
    }

    #[test]
    fn a_nonce_that_makes_no_signature_is_passed_over() {
        let request = Request { key: Scalar::ONE, digest: B256::ZERO };
        let mut nonces = Nonces::new(&request);
        let [first, second] = [nonces.next(), nonces.next()];
        assert_ne!(first, second);
        // z + r d is zero for d = -z / r: this key signs nothing with the first nonce.
        let r = Scalar::from_repr(generator_multiples_var(&[first])[0].x()).unwrap();
        let key = -(r.invert().unwrap());
        let digest = B256::from(<[u8; 32]>::from(Scalar::ONE.to_repr()));
        assert_eq!(sign_with(&[Request { key, digest }; 2], &[first, second])[0], None);
        assert!(sign_with(&[Request { key, digest }; 2], &[first, second])[1].is_some());
    }
}
