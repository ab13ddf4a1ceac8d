//! Files in: opened, unpacked within bounds, and told apart.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::Failure;
use super::pipe::Pipe;

/// The most that a JSON block may unpack to. The largest on mainnet take a few megabytes.
pub(super) const MAX_BLOCK_JSON: u64 = 64 << 20;

/// The most that a pre-state, a code file or a genesis may unpack to.
pub(super) const MAX_STATE_JSON: u64 = 512 << 20;

/// Where input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Standard input, written `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    pub(super) fn new(path: &Path) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path.to_owned()) }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// What a file holds, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// RLP blocks one after the other.
    EthereumChain,
    /// An Ethereum block as JSON.
    EthereumBlock,
    /// A raw Bitcoin block.
    BitcoinBlock,
}

/// Opens a source that is not empty for reading; gzip is unpacked on the way.
pub(super) fn open(source: &Source) -> Result<Box<dyn BufRead + Send>, Failure> {
    let failed = |error: io::Error| Failure::not_checked(format!("{source}: {error}"));
    let reader: Box<dyn Read + Send> = match source {
        Source::Stdin => Box::new(Pipe::new(io::stdin())),
        Source::File(path) => {
            let file = File::open(path).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            if metadata.is_dir() {
                return Err(Failure::not_checked(format!("{source}: a folder, where a file is needed")));
            }
            if metadata.is_file() { Box::new(file) } else { Box::new(Pipe::new(file)) }
        }
    };
    let mut reader = with_start(reader).map_err(failed)?;
    if reader.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]) {
        reader = with_start(MultiGzDecoder::new(reader)).map_err(failed)?;
    }
    if reader.fill_buf().map_err(failed)?.is_empty() {
        return Err(Failure::not_checked(format!("{source}: empty")));
    }
    Ok(reader)
}

/// A buffered reader that has all the bytes by which a file is told in its buffer first, however they arrive.
fn with_start(mut reader: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    const START: u64 = 64;
    let mut start = Vec::new();
    reader.by_ref().take(START).read_to_end(&mut start)?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, io::Cursor::new(start).chain(reader))))
}

/// Tells what follows in a reader that is not at its end, without taking from it.
pub(super) fn kind(source: &Source, reader: &mut dyn BufRead) -> Result<Kind, Failure> {
    let start = reader.fill_buf().map_err(|error| Failure::not_checked(format!("{source}: {error}")))?;
    match start {
        [b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n', ..] => Ok(Kind::EthereumBlock),
        // The length-prefixed form that nodes store blocks in starts with mainnet's magic, a list's header as well.
        [0xf9, 0xbe, 0xb4, 0xd9, ..] => Ok(Kind::BitcoinBlock),
        [0xc0..=0xff, ..] => Ok(Kind::EthereumChain),
        // The version, little-endian, of any block so far.
        [_, _, _, 0x00..=0x3f, ..] => Ok(Kind::BitcoinBlock),
        _ => Err(Failure::not_checked(format!(
            "{source}: neither an RLP chain nor a JSON block nor a raw Bitcoin block"
        ))),
    }
}

/// Reads all of a source, at most `limit` bytes unpacked.
pub(super) fn read_all(source: &Source, reader: impl Read, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    reader
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::not_checked(format!("{source}: {error}")))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::not_checked(format!("{source}: unpacks to more than the {limit} bytes allowed")));
    }
    Ok(bytes)
}

/// Reads all of a file, at most `limit` bytes unpacked.
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let source = Source::new(path);
    let reader = open(&source)?;
    read_all(&source, reader, limit)
}

/// The block files of a folder and of those below it, in order; what has no name of a block file is left out, and counted.
pub(super) fn block_files(folder: &Path) -> Result<(Vec<PathBuf>, usize), Failure> {
    let failed = |error: io::Error| Failure::not_checked(format!("{}: {error}", folder.display()));
    let (mut files, mut left_out) = (Vec::new(), 0);
    let mut entries = std::fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // A link's target is not followed into another folder, so that no loop of links is.
        if entry.file_type().map_err(failed)?.is_dir() {
            let (below, more) = block_files(&path)?;
            files.extend(below);
            left_out += more;
        } else if is_block_name(&entry.file_name().to_string_lossy()) {
            files.push(path);
        } else {
            left_out += 1;
        }
    }
    Ok((files, left_out))
}

fn is_block_name(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    [".rlp", ".block.json", ".dat", ".raw"].iter().any(|ending| name.ends_with(ending))
}
