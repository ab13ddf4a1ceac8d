//! A file of blocks: their RLP one after the other, as `geth export` writes it.

use std::io::{self, Read};

use alloy_primitives::Bytes;

/// The largest block accepted, in bytes of RLP. EIP-7934 caps a block at 10 MiB less 2 MiB from Osaka on; before,
/// the gas limit kept every block of mainnet well below that.
pub const MAX_BLOCK_BYTES: usize = 16 << 20;

/// Why a stream of blocks cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Reading failed.
    #[error("block {index} of the stream, at byte {offset}: {source}")]
    Read {
        /// How many blocks came before.
        index: u64,
        /// Where the block starts.
        offset: u64,
        /// What the system answered.
        source: io::Error,
    },
    /// The stream ends within a block.
    #[error("block {index} of the stream, at byte {offset}: the file ends within the block")]
    Truncated {
        /// How many blocks came before.
        index: u64,
        /// Where the block starts.
        offset: u64,
    },
    /// The bytes at this place start no RLP list.
    #[error("block {index} of the stream, at byte {offset}: no RLP list starts here")]
    NotAList {
        /// How many blocks came before.
        index: u64,
        /// Where the block should start.
        offset: u64,
    },
    /// The block is longer than [`MAX_BLOCK_BYTES`].
    #[error(
        "block {index} of the stream, at byte {offset}: {bytes} bytes are more than a block may have ({MAX_BLOCK_BYTES})"
    )]
    TooLarge {
        /// How many blocks came before.
        index: u64,
        /// Where the block starts.
        offset: u64,
        /// The length its RLP announces.
        bytes: u64,
    },
}

/// Cuts a stream into blocks without decoding them; ends after the first error.
#[derive(Debug)]
pub struct BlockStream<R> {
    source: R,
    index: u64,
    offset: u64,
    ended: bool,
}

impl<R: Read> BlockStream<R> {
    /// Reads blocks from `source`, which should be buffered.
    pub fn new(source: R) -> Self {
        Self { source, index: 0, offset: 0, ended: false }
    }

    fn read_block(&mut self) -> Result<Option<Bytes>, StreamError> {
        let (index, offset) = (self.index, self.offset);
        let failed = |source: io::Error| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                StreamError::Truncated { index, offset }
            } else {
                StreamError::Read { index, offset, source }
            }
        };
        let mut block = Vec::new();
        let first = match self.source.by_ref().take(1).read_to_end(&mut block).map_err(failed)? {
            0 => return Ok(None),
            _ => block[0],
        };
        // RLP: 0xc0 to 0xf7 announce a list of up to 55 bytes; 0xf8 to 0xff, one whose length takes 1 to 8 bytes.
        let payload = match first {
            0..=0xbf => return Err(StreamError::NotAList { index, offset }),
            0xc0..=0xf7 => u64::from(first - 0xc0),
            0xf8.. => {
                let mut length = [0; 8];
                let digits = usize::from(first - 0xf7);
                self.source.read_exact(&mut length[8 - digits..]).map_err(failed)?;
                block.extend_from_slice(&length[8 - digits..]);
                u64::from_be_bytes(length)
            }
        };
        let bytes = payload.saturating_add(block.len() as u64);
        if bytes > MAX_BLOCK_BYTES as u64 {
            return Err(StreamError::TooLarge { index, offset, bytes });
        }
        // Grows with what is there, not with what is announced.
        let read = self.source.by_ref().take(payload).read_to_end(&mut block).map_err(failed)?;
        if (read as u64) < payload {
            return Err(StreamError::Truncated { index, offset });
        }
        self.index += 1;
        self.offset += bytes;
        Ok(Some(block.into()))
    }
}

impl<R: Read> Iterator for BlockStream<R> {
    type Item = Result<Bytes, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let block = self.read_block().transpose();
        self.ended = !matches!(block, Some(Ok(_)));
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Result<usize, String>> {
        BlockStream::new(bytes).map(|block| block.map(|block| block.len()).map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn cuts_lists_of_every_length_form() {
        let long = [&[0xf8, 56][..], &[1; 56]].concat();
        let longer = [&[0xf9, 1, 0][..], &[1; 256]].concat();
        let stream = [&[0xc0][..], &[0xc2, 1, 2], &long, &longer].concat();
        assert_eq!(read(&stream), [Ok(1), Ok(3), Ok(58), Ok(259)]);
        assert_eq!(read(&[]), []);
    }

    #[test]
    fn names_the_place_of_what_is_wrong_and_stops() {
        let error = |bytes: &[u8]| read(bytes).pop().unwrap().unwrap_err();
        assert_eq!(read(&[0xc0, 0x80, 0xc0]).len(), 2);
        assert!(error(&[0xc0, 0x80]).starts_with("block 1 of the stream, at byte 1: no RLP list"));
        for truncated in [&[0xc0, 0xc2, 1][..], &[0xc0, 0xf9, 1], &[0xc0, 0xf8], &[0xc0, 0xf8, 60, 1]] {
            assert_eq!(error(truncated), "block 1 of the stream, at byte 1: the file ends within the block");
        }
        let huge = error(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert!(huge.contains("more than a block may have"), "{huge}");
        let limit = u32::try_from(MAX_BLOCK_BYTES).unwrap().to_be_bytes();
        assert!(error(&[&[0xfb][..], &limit].concat()).contains("more than a block may have"));
        let below = u32::try_from(MAX_BLOCK_BYTES - 5).unwrap().to_be_bytes();
        assert!(error(&[&[0xfb][..], &below].concat()).contains("ends within"));
    }
}
