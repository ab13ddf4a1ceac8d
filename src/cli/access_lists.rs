//! Files of block access lists (EIP-7928): one RLP list after the other, of a block's hash and its access list.

use std::path::Path;

use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable, Header};

use super::Failure;
use super::input::{self, MAX_STATE_JSON};
use crate::executor::BlockAccessList;

/// A block's entry.
pub(super) fn encode(block: B256, list: &BlockAccessList) -> Vec<u8> {
    let mut encoded = Vec::new();
    Header { list: true, payload_length: block.length() + list.length() }.encode(&mut encoded);
    block.encode(&mut encoded);
    list.encode(&mut encoded);
    encoded
}

/// Reads a file, and hands every entry to `add`.
pub(super) fn read(path: &Path, mut add: impl FnMut(B256, BlockAccessList)) -> Result<(), Failure> {
    let bytes = input::read_file(path, MAX_STATE_JSON)?;
    let mut rest = bytes.as_slice();
    let mut entry = 0_u64;
    while !rest.is_empty() {
        let failed =
            |problem: alloy_rlp::Error| Failure::not_checked(format!("{}: entry {entry}: {problem}", path.display()));
        let mut payload = Header::decode_bytes(&mut rest, true).map_err(failed)?;
        let block = B256::decode(&mut payload).map_err(failed)?;
        let list = BlockAccessList::decode(&mut payload).map_err(failed)?;
        if !payload.is_empty() {
            return Err(failed(alloy_rlp::Error::UnexpectedLength));
        }
        add(block, list);
        entry += 1;
    }
    Ok(())
}
