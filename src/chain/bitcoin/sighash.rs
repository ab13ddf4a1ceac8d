//! What a signature is over, before segwit.

use sha2::{Digest, Sha256};

use super::{Input, Output, Transaction};

/// The bits of a hash type that say which outputs are signed; any other value than these two says all.
const OUTPUTS: u8 = 0x1f;
/// `SIGHASH_NONE`.
const NONE: u8 = 2;
/// `SIGHASH_SINGLE`: the output at the input's own place.
const SINGLE: u8 = 3;
/// `SIGHASH_ANYONECANPAY`: of the inputs, only the one that is unlocked.
const ANYONE_CAN_PAY: u8 = 0x80;

/// The bytes of an input that are signed, but for the length of its script and the script itself.
const INPUT: u64 = 36 + 4;
/// The most bytes that a count or a length takes.
const COMPACT_SIZE: u64 = 9;

impl Transaction<'_> {
    /// The digest that a signature in the input at this place is over, before segwit: `SignatureHash` of Bitcoin Core for
    /// `SigVersion::BASE`. `None` where there is no such input.
    ///
    /// `script_code` is the script that checks the signature, without what consensus has removed from it: `OP_CODESEPARATOR`, what
    /// comes before the last one run, and the signature's own bytes. `hash_type` is the last byte that comes with the signature; all
    /// values are defined. Hashes about as many bytes as the transaction has, for `SIGHASH_ANYONECANPAY` and `SIGHASH_NONE` fewer.
    #[must_use]
    pub fn legacy_sighash(&self, input: usize, script_code: &[u8], hash_type: u8) -> Option<[u8; 32]> {
        let unlocked = self.inputs.get(input)?;
        let outputs = hash_type & OUTPUTS;
        if outputs == SINGLE && input >= self.outputs.len() {
            // Where there is no such output the first implementation returned the number 1, little-endian; so must all.
            let mut one = [0; 32];
            one[0] = 1;
            return Some(one);
        }
        let mut preimage = Preimage(Sha256::new());
        preimage.bytes(&self.version.to_le_bytes());
        if hash_type & ANYONE_CAN_PAY != 0 {
            preimage.compact_size(1);
            preimage.input(unlocked, script_code, unlocked.sequence);
        } else {
            preimage.compact_size(self.inputs.len());
            for (index, other) in self.inputs.iter().enumerate() {
                match outputs {
                    _ if index == input => preimage.input(other, script_code, other.sequence),
                    // So that others may replace their inputs.
                    NONE | SINGLE => preimage.input(other, &[], 0),
                    _ => preimage.input(other, &[], other.sequence),
                }
            }
        }
        match outputs {
            NONE => preimage.compact_size(0),
            SINGLE => {
                preimage.compact_size(input + 1);
                // "SIGHASH_SINGLE: all previous outputs are blanked": a value of -1, and no script.
                (0..input).for_each(|_| preimage.output(&Output { value: u64::MAX, script_pubkey: &[] }));
                preimage.output(self.outputs.get(input)?);
            }
            _ => {
                preimage.compact_size(self.outputs.len());
                self.outputs.iter().for_each(|output| preimage.output(output));
            }
        }
        preimage.bytes(&self.lock_time.to_le_bytes());
        preimage.bytes(&u32::from(hash_type).to_le_bytes());
        Some(Sha256::digest(preimage.0.finalize()).into())
    }

    /// The most bytes that [`Transaction::legacy_sighash`] hashes for each of these hash types, with a script code of this length.
    pub(super) fn sighash_bytes(&self, hash_types: impl Iterator<Item = u8>, script_code: usize) -> u64 {
        let bytes = |script: &[u8]| 8 + COMPACT_SIZE + script.len() as u64;
        // Those that are blanked are no longer than they are.
        let outputs: u64 = self.outputs.iter().map(|output| bytes(output.script_pubkey)).sum();
        let around = 12 + 2 * COMPACT_SIZE + outputs + COMPACT_SIZE + script_code as u64;
        let of_type = |hash_type: u8| {
            let inputs = if hash_type & ANYONE_CAN_PAY == 0 { self.inputs.len() as u64 } else { 1 };
            around + inputs * (INPUT + 1)
        };
        hash_types.map(of_type).fold(0, u64::saturating_add)
    }
}

/// What is signed, hashed as it is written.
struct Preimage(Sha256);

impl Preimage {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn input(&mut self, input: &Input<'_>, script: &[u8], sequence: u32) {
        self.bytes(&input.previous_output.txid);
        self.bytes(&input.previous_output.index.to_le_bytes());
        self.string(script);
        self.bytes(&sequence.to_le_bytes());
    }

    fn output(&mut self, output: &Output<'_>) {
        self.bytes(&output.value.to_le_bytes());
        self.string(output.script_pubkey);
    }

    fn string(&mut self, bytes: &[u8]) {
        self.compact_size(bytes.len());
        self.bytes(bytes);
    }

    fn compact_size(&mut self, number: usize) {
        let bytes = (number as u64).to_le_bytes();
        match number {
            0..=0xfc => self.bytes(&bytes[..1]),
            0xfd..=0xffff => self.bytes(&[0xfd, bytes[0], bytes[1]]),
            0x1_0000..=0xffff_ffff => self.bytes(&[0xfe, bytes[0], bytes[1], bytes[2], bytes[3]]),
            _ => {
                self.bytes(&[0xff]);
                self.bytes(&bytes);
            }
        }
    }
}
