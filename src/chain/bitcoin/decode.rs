//! Decoding of blocks that anyone may have written.

use std::fmt;

use super::{Block, Header, Input, MAX_WEIGHT, OutPoint, Output, Transaction, Witness};

/// The fewest bytes that a transaction can have: version, two counts, an input, an output, lock time.
const MIN_TRANSACTION: usize = 4 + 1 + MIN_INPUT + 1 + MIN_OUTPUT + 4;
/// The fewest bytes that an input can have: outpoint, an empty script's length, sequence.
const MIN_INPUT: usize = 36 + 1 + 4;
/// The fewest bytes that an output can have: value, an empty script's length.
const MIN_OUTPUT: usize = 8 + 1;
/// The fewest bytes that an item of a witness can have: its length.
const MIN_WITNESS_ITEM: usize = 1;

pub(super) fn block(bytes: &[u8]) -> Result<Block<'_>, DecodeError> {
    let mut reader = Reader { bytes, offset: 0, transaction: None };
    if bytes.len() > MAX_WEIGHT {
        return Err(reader.error(Field::Block, Malformation::TooLarge { bytes: bytes.len() }));
    }
    let header = header(&mut reader)?;
    let count = reader.count(Field::Transactions, MIN_TRANSACTION)?;
    let mut transactions = Vec::with_capacity(count);
    for index in 0..count {
        reader.transaction = Some(index);
        transactions.push(transaction(&mut reader)?);
    }
    reader.transaction = None;
    match reader.left() {
        0 => {}
        bytes => return Err(reader.error(Field::Block, Malformation::TrailingBytes { bytes })),
    }
    let witnesses: usize = transactions.iter().map(Transaction::witness_length).sum();
    let weight = 4 * bytes.len() - 3 * witnesses;
    if weight > MAX_WEIGHT {
        return Err(reader.error(Field::Block, Malformation::TooHeavy { weight }));
    }
    Ok(Block { header, transactions, weight })
}

/// The items of a witness, whose bytes have been read once.
pub(super) fn witness_items(items: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader { bytes: items, offset: 0, transaction: None };
    std::iter::from_fn(move || reader.string(Field::Block).ok())
}

fn header(reader: &mut Reader<'_>) -> Result<Header, DecodeError> {
    Ok(Header {
        version: i32::from_le_bytes(reader.array(Field::Header)?),
        previous_block: reader.array(Field::Header)?,
        merkle_root: reader.array(Field::Header)?,
        time: reader.u32(Field::Header)?,
        bits: reader.u32(Field::Header)?,
        nonce: reader.u32(Field::Header)?,
    })
}

fn transaction<'a>(reader: &mut Reader<'a>) -> Result<Transaction<'a>, DecodeError> {
    let start = reader.offset;
    let version = reader.u32(Field::Version)?;
    // BIP 144: where the count of inputs would stand, a marker of 0, then a flag of 1.
    let with_witnesses = reader.rest().first() == Some(&0);
    if with_witnesses {
        reader.take(Field::Flag, 1)?;
        let flag_at = *reader;
        let [flag] = reader.array(Field::Flag)?;
        if flag != 1 {
            return Err(flag_at.error(Field::Flag, Malformation::UnknownFlag { flag }));
        }
    }
    let inputs_start = reader.offset;
    let count = reader.count(Field::Inputs, MIN_INPUT)?;
    let mut inputs = Vec::with_capacity(count);
    for index in 0..count {
        inputs.push(input(reader, index)?);
    }
    let count = reader.count(Field::Outputs, MIN_OUTPUT)?;
    let mut outputs = Vec::with_capacity(count);
    for index in 0..count {
        outputs.push(output(reader, index)?);
    }
    let inputs_and_outputs = reader.since(inputs_start);
    if with_witnesses {
        let witnesses_at = *reader;
        for (index, input) in inputs.iter_mut().enumerate() {
            input.witness = witness(reader, index)?;
        }
        // The form without witnesses is the only one for a transaction that has none, or its weight would be open.
        if inputs.iter().all(|input| input.witness.is_empty()) {
            return Err(witnesses_at.error(Field::Witness { input: 0 }, Malformation::NoWitness));
        }
    }
    let lock_time = reader.u32(Field::LockTime)?;
    Ok(Transaction { version, inputs, outputs, lock_time, bytes: reader.since(start), inputs_and_outputs })
}

fn input<'a>(reader: &mut Reader<'a>, input: usize) -> Result<Input<'a>, DecodeError> {
    let field = Field::PreviousOutput { input };
    Ok(Input {
        previous_output: OutPoint { txid: reader.array(field)?, index: reader.u32(field)? },
        script_sig: reader.string(Field::ScriptSig { input })?,
        sequence: reader.u32(Field::Sequence { input })?,
        witness: Witness::default(),
    })
}

fn output<'a>(reader: &mut Reader<'a>, output: usize) -> Result<Output<'a>, DecodeError> {
    Ok(Output {
        value: u64::from_le_bytes(reader.array(Field::Value { output })?),
        script_pubkey: reader.string(Field::ScriptPubkey { output })?,
    })
}

fn witness<'a>(reader: &mut Reader<'a>, input: usize) -> Result<Witness<'a>, DecodeError> {
    let field = Field::Witness { input };
    let len = reader.count_or_none(field, MIN_WITNESS_ITEM)?;
    let start = reader.offset;
    for _ in 0..len {
        reader.string(field)?;
    }
    Ok(Witness { len, items: reader.since(start) })
}

/// Why bytes are no block, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}{field} at byte {offset}: {malformation}", InTransaction(*transaction))]
pub struct DecodeError {
    /// The transaction's place in the block, from 0; `None` outside the transactions.
    pub transaction: Option<usize>,
    /// The field that is malformed.
    pub field: Field,
    /// The first byte that cannot be read as it should, from the start of the block.
    pub offset: usize,
    /// What is wrong with it.
    pub malformation: Malformation,
}

/// A field of a block or of one of its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Field {
    /// The block as a whole.
    #[error("block")]
    Block,
    /// The header's 80 bytes.
    #[error("header")]
    Header,
    /// The count of transactions.
    #[error("count of transactions")]
    Transactions,
    /// A transaction's version.
    #[error("version")]
    Version,
    /// The marker and flag that announce witnesses.
    #[error("segwit flag")]
    Flag,
    /// The count of inputs.
    #[error("count of inputs")]
    Inputs,
    /// The output that an input spends.
    #[error("previous output of input {input}")]
    PreviousOutput {
        /// The input's place, from 0.
        input: usize,
    },
    /// An input's script.
    #[error("script_sig of input {input}")]
    ScriptSig {
        /// The input's place, from 0.
        input: usize,
    },
    /// An input's sequence number.
    #[error("sequence of input {input}")]
    Sequence {
        /// The input's place, from 0.
        input: usize,
    },
    /// The count of outputs.
    #[error("count of outputs")]
    Outputs,
    /// An output's value.
    #[error("value of output {output}")]
    Value {
        /// The output's place, from 0.
        output: usize,
    },
    /// An output's script.
    #[error("script_pubkey of output {output}")]
    ScriptPubkey {
        /// The output's place, from 0.
        output: usize,
    },
    /// An input's witness.
    #[error("witness of input {input}")]
    Witness {
        /// The input's place, from 0.
        input: usize,
    },
    /// A transaction's lock time.
    #[error("lock time")]
    LockTime,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Malformation {
    /// The bytes end too early.
    #[error("{wanted} bytes expected, {left} left")]
    Truncated {
        /// How many bytes the field needs.
        wanted: u64,
        /// How many there are.
        left: usize,
    },
    /// More elements are announced than the bytes left can hold.
    #[error("{count} announced, too many for the {left} bytes left")]
    CountTooLarge {
        /// How many elements are announced.
        count: u64,
        /// How many bytes there are for them.
        left: usize,
    },
    /// No element is announced where there must be one.
    #[error("there must be at least one")]
    CountIsZero,
    /// A compactSize that a shorter one could have stood for.
    #[error("{value} is not in its shortest form")]
    NotCanonical {
        /// What it stands for.
        value: u64,
    },
    /// A flag that announces something unknown.
    #[error("unknown flag {flag:#04x}")]
    UnknownFlag {
        /// The flag.
        flag: u8,
    },
    /// Witnesses are announced, and every one is empty.
    #[error("announced, yet no input has any")]
    NoWitness,
    /// Bytes follow the last transaction.
    #[error("{bytes} bytes follow the last transaction")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// More bytes than any block may have.
    #[error("{bytes} bytes, at most {MAX_WEIGHT} allowed")]
    TooLarge {
        /// How many there are.
        bytes: usize,
    },
    /// More weight than a block may have.
    #[error("weight {weight}, at most {MAX_WEIGHT} allowed")]
    TooHeavy {
        /// The weight.
        weight: usize,
    },
}

struct InTransaction(Option<usize>);

impl fmt::Display for InTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |index| write!(f, "transaction {index}, "))
    }
}

/// Reads on from a byte; a failed read leaves it where it is.
#[derive(Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    /// At most the number of bytes.
    offset: usize,
    /// The transaction that errors name.
    transaction: Option<usize>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    fn left(&self) -> usize {
        self.rest().len()
    }

    /// The bytes read since `start`.
    fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.offset).unwrap_or_default()
    }

    fn error(&self, field: Field, malformation: Malformation) -> DecodeError {
        DecodeError { transaction: self.transaction, field, offset: self.offset, malformation }
    }

    fn take(&mut self, field: Field, length: u64) -> Result<&'a [u8], DecodeError> {
        let taken = usize::try_from(length).ok().and_then(|length| self.rest().get(..length));
        let taken =
            taken.ok_or_else(|| self.error(field, Malformation::Truncated { wanted: length, left: self.left() }))?;
        self.offset += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: Field) -> Result<[u8; N], DecodeError> {
        let array = self.rest().first_chunk().copied();
        let array =
            array.ok_or_else(|| self.error(field, Malformation::Truncated { wanted: N as u64, left: self.left() }))?;
        self.offset += N;
        Ok(array)
    }

    fn u32(&mut self, field: Field) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// A length and as many bytes.
    fn string(&mut self, field: Field) -> Result<&'a [u8], DecodeError> {
        let length = self.compact_size(field)?;
        self.take(field, length)
    }

    /// The number of elements that follow, at least one, each of `min_length` bytes or more.
    fn count(&mut self, field: Field, min_length: usize) -> Result<usize, DecodeError> {
        let at = *self;
        match self.count_or_none(field, min_length)? {
            0 => Err(at.error(field, Malformation::CountIsZero)),
            count => Ok(count),
        }
    }

    /// The number of elements that follow, each of `min_length` bytes or more: what is allocated for them is bounded
    /// by the bytes that are there.
    fn count_or_none(&mut self, field: Field, min_length: usize) -> Result<usize, DecodeError> {
        let at = *self;
        let count = self.compact_size(field)?;
        let left = self.left();
        let possible = usize::try_from(count).ok().filter(|count| *count <= left / min_length);
        possible.ok_or_else(|| at.error(field, Malformation::CountTooLarge { count, left }))
    }

    fn compact_size(&mut self, field: Field) -> Result<u64, DecodeError> {
        let at = *self;
        let [first] = self.array(field)?;
        let (value, least) = match first {
            0xfd => (u16::from_le_bytes(self.array(field)?).into(), 0xfd),
            0xfe => (self.u32(field)?.into(), 0x1_0000),
            0xff => (u64::from_le_bytes(self.array(field)?), 0x1_0000_0000),
            value => (value.into(), 0),
        };
        if value < least { Err(at.error(field, Malformation::NotCanonical { value })) } else { Ok(value) }
    }
}
