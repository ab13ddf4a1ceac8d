//! Blocks built by hand, byte by byte, and read from the test data.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::Read;
use std::path::Path;

use phalanx::chain::bitcoin::{Block, Header};
use phalanx::cpu::sha256d;
use phalanx::merkle::bitcoin::root;

/// The first block of the main chain.
pub(crate) fn genesis() -> Vec<u8> {
    let mut script_sig = hex::decode("04ffff001d010445").unwrap();
    script_sig.extend_from_slice(b"The Times 03/Jan/2009 Chancellor on brink of second bailout for banks");
    let key = "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb6\
               49f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f";
    let script_pubkey = [&[0x41], &hex::decode(key).unwrap()[..], &[0xac]].concat();
    let coinbase = coinbase_with(&script_sig, &script_pubkey);
    let header = Header {
        version: 1,
        previous_block: [0; 32],
        merkle_root: sha256d(&coinbase),
        time: 1_231_006_505,
        bits: 0x1d00_ffff,
        nonce: 2_083_236_893,
    };
    [&header.to_bytes()[..], &[1], &coinbase].concat()
}

/// A coinbase and a transaction with a witness, both committed to.
pub(crate) fn segwit_block() -> Vec<u8> {
    let reserved_value = [7; 32];
    let witness_root = sha256d(&[[0; 32], sha256d(&segwit_spend())].concat());
    let commitment = sha256d(&[witness_root, reserved_value].concat());
    let script_pubkey = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed], &commitment[..]].concat();
    let plain = coinbase_with(&[0x52], &script_pubkey);
    let (start, lock_time) = plain.split_at(plain.len() - 4);
    let witness = [&[1, 32], &reserved_value[..]].concat();
    block_of(&[[&start[..4], &[0, 1], &start[4..], &witness, lock_time].concat(), segwit_spend()])
}

/// The length of the inputs and outputs of [`segwit_spend`], with their counts.
pub(crate) const SPEND_BODY: usize = 1 + 2 * 41 + 1 + 10;

/// Two inputs without scripts, the first with a witness of three items, and an output.
pub(crate) fn segwit_spend() -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2];
    for input in 0..2 {
        bytes.extend_from_slice(&[&[8; 32][..], &[input, 0, 0, 0], &[0], &[0xff; 4]].concat());
    }
    bytes.extend_from_slice(&[&[1][..], &[1, 2, 3, 0, 0, 0, 0, 0], &[1, 0x51]].concat());
    bytes.extend_from_slice(&[&[3, 0, 9], &b"signature"[..], &[3], b"key", &[0]].concat());
    bytes.extend_from_slice(&[9, 0, 0, 0]);
    bytes
}

/// A transaction without witnesses.
pub(crate) fn spend(of: u8) -> Vec<u8> {
    [&[1, 0, 0, 0, 1], &[of; 36][..], &[0, 0xff, 0xff, 0xff, 0xff], &[1], &[0; 8], &[0], &[0; 4]].concat()
}

pub(crate) fn coinbase(script_sig: &[u8]) -> Vec<u8> {
    coinbase_with(script_sig, &[0x51])
}

/// A coinbase of 50 bitcoins without witness.
pub(crate) fn coinbase_with(script_sig: &[u8], script_pubkey: &[u8]) -> Vec<u8> {
    let mut bytes = [&[1, 0, 0, 0, 1], &[0; 32][..], &[0xff; 4]].concat();
    bytes.extend_from_slice(&[&compact_size(script_sig.len()), script_sig, &[0xff; 4], &[1]].concat());
    bytes.extend_from_slice(&5_000_000_000_u64.to_le_bytes());
    bytes.extend_from_slice(&[&compact_size(script_pubkey.len()), script_pubkey, &[0; 4]].concat());
    bytes
}

pub(crate) fn compact_size(value: usize) -> Vec<u8> {
    match u32::try_from(value).unwrap() {
        value @ 0..=0xfc => vec![u8::try_from(value).unwrap()],
        value @ 0xfd..=0xffff => [&[0xfd], &u16::try_from(value).unwrap().to_le_bytes()[..]].concat(),
        value => [&[0xfe], &value.to_le_bytes()[..]].concat(),
    }
}

/// A block of up to 252 transactions whose Merkle root and proof of work hold, at the lowest difficulty.
pub(crate) fn block_of(transactions: &[Vec<u8>]) -> Vec<u8> {
    let count = u8::try_from(transactions.len()).unwrap();
    let mut header =
        Header { version: 1, previous_block: [0; 32], merkle_root: [0; 32], time: 0, bits: 0x207f_ffff, nonce: 0 };
    let mut bytes = [&header.to_bytes()[..], &[count], &transactions.concat()].concat();
    if let Ok(block) = Block::decode(&bytes) {
        header.merkle_root = root(&block.txids()).hash;
    }
    // At this target half of all hashes are low enough.
    while header.hash()[31] > 0x7f {
        header.nonce += 1;
    }
    bytes[..Header::LENGTH].copy_from_slice(&header.to_bytes());
    bytes
}

/// A file of the test data; those compressed hold the block behind a network magic and its length.
pub(crate) fn read_block(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_none_or(|extension| extension != "bz2") {
        return bytes;
    }
    let mut message = Vec::new();
    bzip2::read::BzDecoder::new(&bytes[..]).read_to_end(&mut message).unwrap();
    let (prefix, block) = message.split_at(8);
    assert_eq!(prefix[..4], [0xf9, 0xbe, 0xb4, 0xd9]);
    assert_eq!(prefix[4..], u32::try_from(block.len()).unwrap().to_le_bytes());
    block.to_vec()
}
