//! The lines of a list of signatures, read a bounded number of bytes at a time.

use std::borrow::Cow;
use std::io::{BufRead, Read};

use alloy_primitives::hex;
use serde::Deserialize;

/// Lines that are checked together, at most.
const LINES: usize = 1 << 14;

/// Lines are read until they have so many bytes.
const BYTES: usize = 8 << 20;

/// The longest line, in bytes; two digits are a byte of the message.
const MAX_LINE: u64 = 8 << 20;

/// A line's values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Vec<u8>,
    pub(super) message: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// What comes after the lines of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Following {
    /// Perhaps more lines.
    Lines,
    /// Nothing.
    Nothing,
    /// A line that cannot be read, and why.
    Unreadable(String),
}

/// Some lines of a list.
#[derive(Debug)]
pub(super) struct Chunk {
    /// What the list calls that which is signed: `message` or `digest`.
    over: &'static str,
    /// Where key, message and signature stand, once a line was seen.
    columns: Option<Columns>,
    bytes: Vec<u8>,
    lines: Vec<Line>,
    next: u64,
}

/// A line: its number in the file, and where in the chunk's bytes it starts and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    number: u64,
    start: usize,
    end: usize,
}

/// Where the three values stand among the fields of a line.
#[derive(Clone, Copy, Debug)]
struct Columns {
    places: [usize; 3],
    /// Whether they are all that a line may have, since no first line named them.
    alone: bool,
}

impl Chunk {
    /// Nothing yet of a list that calls `over` what is signed.
    pub(super) fn new(over: &'static str) -> Self {
        Self { over, columns: None, bytes: Vec::new(), lines: Vec::new(), next: 1 }
    }

    /// The number of the line that comes next, from 1.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Replaces the lines by those that come next in the file. An error is a first line that does not name all columns.
    pub(super) fn read(&mut self, reader: &mut dyn BufRead) -> Result<Following, (u64, String)> {
        self.bytes.clear();
        self.lines.clear();
        let mut following = Following::Lines;
        for _ in 0..LINES {
            let start = self.bytes.len();
            if start >= BYTES {
                break;
            }
            match Read::take(&mut *reader, MAX_LINE).read_until(b'\n', &mut self.bytes) {
                Ok(0) => following = Following::Nothing,
                Ok(read) if read as u64 == MAX_LINE && !self.bytes.ends_with(b"\n") => {
                    following = Following::Unreadable(format!("longer than {MAX_LINE} bytes"));
                }
                Ok(_) => {}
                Err(error) => following = Following::Unreadable(error.to_string()),
            }
            if following != Following::Lines {
                break;
            }
            let line = Line { number: self.next, start, end: self.bytes.len() };
            self.next += 1;
            if self.bytes[start..].trim_ascii().is_empty() {
                self.bytes.truncate(start);
            } else {
                self.lines.push(line);
            }
        }
        if self.columns.is_none()
            && let Some(first) = self.lines.first().copied()
        {
            let named = Columns::named(&self.bytes[first.start..first.end], self.over);
            if named.is_some() {
                self.lines.remove(0);
            }
            let columns = named.unwrap_or(Ok(Columns { places: [0, 1, 2], alone: true }));
            self.columns = Some(columns.map_err(|problem| (first.number, problem))?);
        }
        Ok(following)
    }

    /// The lines that are not empty and do not name columns.
    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The number of a line, and its values or why it has none.
    pub(super) fn row(&self, line: Line) -> (u64, Result<Row, String>) {
        let text = std::str::from_utf8(&self.bytes[line.start..line.end]).map_err(|_| "not text".to_owned());
        (line.number, text.and_then(|text| self.parse(text.trim_ascii())))
    }

    fn parse(&self, text: &str) -> Result<Row, String> {
        if text.starts_with('{') {
            let object: Object<'_> = serde_json::from_str(text).map_err(|error| {
                // The line that it would tell of is always the first.
                format!(
                    "column {}: {}",
                    error.column(),
                    error.to_string().split(" at line ").next().unwrap_or_default()
                )
            })?;
            let message = if self.over == "digest" { object.digest } else { object.message };
            let message = message.ok_or_else(|| format!("no `{}`", self.over))?;
            return self.decode([&object.key, &message, &object.signature]);
        }
        let fields = fields(text);
        let Columns { places, alone } = self.columns.unwrap_or(Columns { places: [0, 1, 2], alone: true });
        if alone && fields.len() != 3 {
            return Err(format!("{} values, where key, {} and signature are expected", fields.len(), self.over));
        }
        let field = |place: usize| fields.get(place).copied().ok_or_else(|| format!("no column {}", place + 1));
        self.decode([field(places[0])?, field(places[1])?, field(places[2])?])
    }

    fn decode(&self, [key, message, signature]: [&str; 3]) -> Result<Row, String> {
        let bytes = |name: &str, text: &str| hex::decode(text).map_err(|error| format!("{name}: {error}"));
        Ok(Row {
            key: bytes("key", key)?,
            message: bytes(self.over, message)?,
            signature: bytes("signature", signature)?,
        })
    }
}

impl Columns {
    /// Where a first line says that the values stand, or which it does not name; `None` if it names no columns.
    fn named(line: &[u8], over: &str) -> Option<Result<Self, String>> {
        let text = std::str::from_utf8(line).ok()?.trim_ascii();
        if text.starts_with('{') {
            return None;
        }
        let names: Vec<String> = fields(text).iter().map(|name| name.to_lowercase().replace(' ', "_")).collect();
        let place = |wanted: &[&str]| names.iter().position(|name| wanted.contains(&&**name));
        let signature = place(&["signature"])?;
        let places = match (place(&["public_key", "key"]), place(&[over])) {
            (Some(key), Some(message)) => [key, message, signature],
            (None, _) => return Some(Err("no column `public key`".to_owned())),
            (_, None) => return Some(Err(format!("no column `{over}`"))),
        };
        Some(Ok(Self { places, alone: false }))
    }
}

/// A line that is a JSON object. What else is in it is left alone.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, rename = "public_key", alias = "key", alias = "public key")]
    key: Cow<'a, str>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    digest: Option<Cow<'a, str>>,
    #[serde(borrow)]
    signature: Cow<'a, str>,
}

/// The fields of a line of comma-separated values (RFC 4180, but that no field holds a line's end), quotes taken off.
fn fields(line: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let separator = |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    };
    line.split(separator).map(|field| unquoted(field.trim())).collect()
}

fn unquoted(field: &str) -> &str {
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field)
}
