//! A small EVM assembler: text in, bytecode out.
//!
//! Words are separated by white space; a semicolon starts a comment that ends with its line.
//!
//! | words | what they assemble to |
//! |---|---|
//! | `ADD`, `SSTORE`, … | that instruction, which must have no immediate |
//! | `PUSH operand` | the shortest push of the operand |
//! | `name:` | a `JUMPDEST`, and `@name` stands for its position |
//! | `DEFINE name number` | nothing; `$name` stands for the number |
//!
//! An operand is a decimal or `0x` number, `@label`, `$name`, `selector:signature` (the four bytes by which a
//! contract's ABI names a function) or `topic:signature` (the 32 bytes by which a log names an event).

use std::collections::HashMap;

use alloy_primitives::{U256, keccak256};
use revm::bytecode::opcode::{JUMPDEST, OPCODE_INFO, OpCodeInfo, PUSH0, PUSH2};

/// The largest code a contract may have (EIP-170). Any position in it fits the two bytes that a label is pushed with.
const CODE_LIMIT: usize = 24_576;

/// Where and why a text does not assemble.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{word}` {fault}")]
pub struct AssemblyError {
    /// The line, counted from 1.
    pub line: usize,
    /// The word at fault.
    pub word: String,
    /// What is wrong with it.
    pub fault: AssemblyFault,
}

/// What is wrong with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssemblyFault {
    /// No instruction of that name, or one with an immediate, which only `PUSH` may have.
    #[error("is no instruction without an immediate")]
    UnknownInstruction,
    /// The text ends, or a name is empty, where an operand or a name is due.
    #[error("lacks an operand")]
    MissingOperand,
    /// The operand is none of the forms an operand has.
    #[error("is no operand")]
    Operand,
    /// A label or a constant that is not defined.
    #[error("is not defined")]
    Undefined,
    /// A label or a constant that is defined twice.
    #[error("is defined twice")]
    DefinedTwice,
    /// The code grows beyond what a contract may have.
    #[error("is beyond the 24,576 bytes of a contract")]
    TooLong,
}

/// Assembles a text.
pub fn assemble(source: &str) -> Result<Vec<u8>, AssemblyError> {
    let mut words = source.lines().zip(1..).flat_map(|(text, line)| {
        let code = text.split(';').next().unwrap_or_default();
        code.split_whitespace().map(move |text| Word { text, line })
    });
    let mut assembly = Assembly::default();
    while let Some(word) = words.next() {
        if let Some(label) = word.text.strip_suffix(':') {
            assembly.label(word, label)?;
        } else if word.text == "PUSH" {
            let operand = words.next().ok_or_else(|| word.fault(AssemblyFault::MissingOperand))?;
            assembly.push(operand)?;
        } else if word.text == "DEFINE" {
            let (Some(name), Some(number)) = (words.next(), words.next()) else {
                return Err(word.fault(AssemblyFault::MissingOperand));
            };
            assembly.define(name, number)?;
        } else {
            assembly.instruction(word)?;
        }
        if assembly.code.len() > CODE_LIMIT {
            return Err(word.fault(AssemblyFault::TooLong));
        }
    }
    assembly.link()
}

/// A word of the text, and the line it stands on.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    line: usize,
}

impl Word<'_> {
    fn fault(self, fault: AssemblyFault) -> AssemblyError {
        AssemblyError { line: self.line, word: self.text.to_owned(), fault }
    }
}

#[derive(Default)]
struct Assembly<'a> {
    code: Vec<u8>,
    /// The position of every label.
    labels: HashMap<&'a str, usize>,
    constants: HashMap<&'a str, U256>,
    /// Where the position of which label is to be filled in.
    references: Vec<(usize, Word<'a>)>,
}

impl<'a> Assembly<'a> {
    fn label(&mut self, word: Word<'a>, name: &'a str) -> Result<(), AssemblyError> {
        if name.is_empty() {
            return Err(word.fault(AssemblyFault::MissingOperand));
        }
        if self.labels.insert(name, self.code.len()).is_some() {
            return Err(word.fault(AssemblyFault::DefinedTwice));
        }
        self.code.push(JUMPDEST);
        Ok(())
    }

    fn define(&mut self, name: Word<'a>, number: Word<'a>) -> Result<(), AssemblyError> {
        let value = number.text.parse().map_err(|_| number.fault(AssemblyFault::Operand))?;
        match self.constants.insert(name.text, value) {
            Some(_) => Err(name.fault(AssemblyFault::DefinedTwice)),
            None => Ok(()),
        }
    }

    fn instruction(&mut self, word: Word<'a>) -> Result<(), AssemblyError> {
        let named = |info: &Option<OpCodeInfo>| {
            info.as_ref().is_some_and(|info| info.name() == word.text && info.immediate_size() == 0)
        };
        let opcode = OPCODE_INFO.iter().position(named).and_then(|opcode| u8::try_from(opcode).ok());
        self.code.push(opcode.ok_or_else(|| word.fault(AssemblyFault::UnknownInstruction))?);
        Ok(())
    }

    fn push(&mut self, operand: Word<'a>) -> Result<(), AssemblyError> {
        let text = operand.text;
        if text.starts_with('@') {
            self.code.extend([PUSH2, 0, 0]);
            self.references.push((self.code.len() - 2, operand));
        } else if let Some(name) = text.strip_prefix('$') {
            let value = *self.constants.get(name).ok_or_else(|| operand.fault(AssemblyFault::Undefined))?;
            self.push_number(value);
        } else if let Some(signature) = text.strip_prefix("selector:") {
            self.push_bytes(&selector(signature));
        } else if let Some(signature) = text.strip_prefix("topic:") {
            self.push_bytes(keccak256(signature).as_slice());
        } else {
            self.push_number(text.parse().map_err(|_| operand.fault(AssemblyFault::Operand))?);
        }
        Ok(())
    }

    fn push_number(&mut self, value: U256) {
        let bytes = value.to_be_bytes::<32>();
        self.push_bytes(&bytes[value.leading_zeros() / 8..]);
    }

    /// Appends a push of at most 32 bytes; a push of none pushes zero.
    fn push_bytes(&mut self, bytes: &[u8]) {
        self.code.extend((PUSH0..).nth(bytes.len()));
        self.code.extend(bytes);
    }

    /// Fills in the positions of the labels.
    fn link(mut self) -> Result<Vec<u8>, AssemblyError> {
        for (at, word) in self.references {
            let name = word.text.trim_start_matches('@');
            let position = *self.labels.get(name).ok_or_else(|| word.fault(AssemblyFault::Undefined))?;
            let position = u16::try_from(position).map_err(|_| word.fault(AssemblyFault::TooLong))?;
            self.code[at..at + 2].copy_from_slice(&position.to_be_bytes());
        }
        Ok(self.code)
    }
}

/// The first four bytes of the signature's Keccak-256, which open a call's data.
pub(super) fn selector(signature: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = keccak256(signature).0;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_assembles() {
        let text = "
            DEFINE slot 0x0100
            start: PUSH 0 PUSH 255 PUSH $slot ; a comment: PUSH
            PUSH @end JUMPI PUSH @start
            PUSH selector:transfer(address,uint256)
            end:";
        let expected = ["5b", "5f", "60ff", "610100", "610013", "57", "610000", "63a9059cbb", "5b"];
        assert_eq!(hex::encode(assemble(text).unwrap()), expected.concat());
    }

    #[test]
    fn a_topic_is_the_whole_hash_and_a_push_may_have_32_bytes() {
        let topic = assemble("PUSH topic:Transfer(address,address,uint256)").unwrap();
        assert_eq!(hex::encode(topic), "7fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
        let widest = assemble(&format!("PUSH {}", U256::MAX)).unwrap();
        assert_eq!(widest, [&[0x7f][..], &[0xff; 32]].concat());
    }

    #[test]
    fn faults_name_the_line_and_the_word() {
        let cases = [
            ("ADD\nNONE", 2, "NONE", AssemblyFault::UnknownInstruction),
            ("PUSH1", 1, "PUSH1", AssemblyFault::UnknownInstruction),
            ("PUSH", 1, "PUSH", AssemblyFault::MissingOperand),
            ("DEFINE a", 1, "DEFINE", AssemblyFault::MissingOperand),
            (":", 1, ":", AssemblyFault::MissingOperand),
            ("PUSH x", 1, "x", AssemblyFault::Operand),
            ("PUSH @x", 1, "@x", AssemblyFault::Undefined),
            ("PUSH $x", 1, "$x", AssemblyFault::Undefined),
            ("a:\na:", 2, "a:", AssemblyFault::DefinedTwice),
            ("DEFINE a 1\n\nDEFINE a 1", 3, "a", AssemblyFault::DefinedTwice),
        ];
        for (text, line, word, fault) in cases {
            assert_eq!(assemble(text), Err(AssemblyError { line, word: word.to_owned(), fault }), "{text}");
        }
        let wider_than_a_word = format!("PUSH 0x1{}", "0".repeat(64));
        assert_eq!(assemble(&wider_than_a_word).unwrap_err().fault, AssemblyFault::Operand);
    }

    #[test]
    fn code_may_fill_a_contract_and_no_more() {
        assert_eq!(assemble(&"STOP ".repeat(CODE_LIMIT)).unwrap().len(), CODE_LIMIT);
        assert_eq!(assemble(&"STOP ".repeat(CODE_LIMIT + 1)).unwrap_err().fault, AssemblyFault::TooLong);
    }
}
