//! Batches: ordered items, stored as columns.
//!
//! Columns are what every backend wants: a chunk of a batch is a slice of each column, and a GPU buffer is a
//! copy of one. They are private and only grow together, so they always have one length.

use std::ops::Range;
use std::sync::Arc;

use crate::verdict::Reason;

/// The columns of one scheme.
pub trait Columns: Default + Clone + Send + Sync {
    /// One item, a row across the columns.
    type Item: Copy;

    /// Columns with room for `capacity` items.
    fn with_capacity(capacity: usize) -> Self;
    /// Appends a row to every column.
    fn push(&mut self, item: Self::Item);
    /// The length of every column.
    fn len(&self) -> usize;
    /// Whether the columns are empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The row at `index`, or `None` past the end.
    fn get(&self, index: usize) -> Option<Self::Item>;
    /// The row that stands in the place of an item whose bytes could not be parsed; it must not be valid.
    fn placeholder() -> Self::Item;
}

/// Ordered items of one scheme, among them those that were rejected while parsing.
///
/// An item that does not parse still has its place, so that verdicts line up with what was handed in. A clone shares the items until
/// either is added to.
#[derive(Clone, Debug, Default)]
pub struct Batch<C> {
    columns: Arc<C>,
    /// The rows of the columns that are this batch's.
    rows: Range<usize>,
    /// Items rejected while parsing, by rising index.
    rejected: Vec<(usize, Reason)>,
}

impl<C: Columns> Batch<C> {
    /// An empty batch with room for `capacity` items.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { columns: Arc::new(C::with_capacity(capacity)), rows: 0..0, rejected: Vec::new() }
    }

    /// Appends an item.
    pub fn push(&mut self, item: C::Item) {
        self.extend([item]);
    }

    /// Appends the place of an item that did not parse; its verdict is `Invalid(reason)`.
    pub fn push_rejected(&mut self, reason: Reason) {
        self.rejected.push((self.len(), reason));
        self.push(C::placeholder());
    }

    /// Appends an item, or the place of one that did not parse.
    pub fn push_parsed(&mut self, item: Result<C::Item, Reason>) {
        match item {
            Ok(item) => self.push(item),
            Err(reason) => self.push_rejected(reason),
        }
    }

    /// The number of items, rejected ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Some of the items, as a batch of their own that shares them; as many as there are.
    #[cfg(feature = "gpu")]
    pub(crate) fn part(&self, items: Range<usize>) -> Self {
        let end = items.end.min(self.len());
        let start = items.start.min(end);
        let first = self.rejected.partition_point(|(at, _)| *at < start);
        let rejected = self.rejected[first..].iter().take_while(|(at, _)| *at < end);
        Self {
            columns: Arc::clone(&self.columns),
            rows: self.rows.start + start..self.rows.start + end,
            rejected: rejected.map(|(at, reason)| (at - start, *reason)).collect(),
        }
    }

    /// The columns, with these rows and no others, and nobody else's.
    fn own(&mut self) -> &mut C {
        if self.rows != (0..self.columns.len()) {
            let mut columns = C::with_capacity(self.rows.len());
            self.rows.clone().filter_map(|row| self.columns.get(row)).for_each(|row| columns.push(row));
            self.rows = 0..columns.len();
            self.columns = Arc::new(columns);
        }
        Arc::make_mut(&mut self.columns)
    }

    /// Whether any item was rejected while parsing.
    #[cfg(feature = "gpu")]
    pub(crate) const fn has_rejected(&self) -> bool {
        !self.rejected.is_empty()
    }

    /// The item at `index`, or why it was rejected while parsing; `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Result<C::Item, Reason>> {
        match self.rejected.binary_search_by_key(&index, |(at, _)| *at) {
            Ok(found) => Some(Err(self.rejected[found].1)),
            Err(_) if index < self.len() => self.columns.get(self.rows.start + index).map(Ok),
            Err(_) => None,
        }
    }
}

impl<C: Columns> Extend<C::Item> for Batch<C> {
    fn extend<I: IntoIterator<Item = C::Item>>(&mut self, items: I) {
        let columns = self.own();
        items.into_iter().for_each(|item| columns.push(item));
        self.rows.end = self.columns.len();
    }
}

impl<C: Columns> FromIterator<C::Item> for Batch<C> {
    fn from_iter<I: IntoIterator<Item = C::Item>>(items: I) -> Self {
        let items = items.into_iter();
        let mut batch = Self::with_capacity(items.size_hint().0);
        batch.extend(items);
        batch
    }
}

/// Messages to be hashed: one byte column, and the end of each message in it.
#[derive(Clone, Debug, Default)]
pub struct MessageBatch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl MessageBatch {
    /// An empty batch with room for `messages` messages of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity(messages: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(messages) }
    }

    /// Appends a message of any length.
    pub fn push(&mut self, message: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(message));
    }

    /// Appends the message that `write` appends to the bytes it is given.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// The number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The message at `index`, or `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.bytes[start..end])
    }

    /// The bytes of the first `messages` messages.
    #[cfg(feature = "gpu")]
    pub(crate) fn bytes_before(&self, messages: usize) -> usize {
        let last = messages.min(self.ends.len()).checked_sub(1);
        last.map_or(0, |last| self.ends[last])
    }

    /// A copy of some of the messages, as many as there are.
    #[cfg(feature = "gpu")]
    pub(crate) fn part(&self, messages: std::ops::Range<usize>) -> Self {
        let end = messages.end.min(self.len());
        let start = messages.start.min(end);
        let (before, until) = (self.bytes_before(start), self.bytes_before(end));
        Self {
            bytes: self.bytes[before..until].to_vec(),
            ends: self.ends[start..end].iter().map(|end| end - before).collect(),
        }
    }

    /// The messages from `index` on.
    pub(crate) fn iter_from(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        (index..self.len()).filter_map(|index| self.get(index))
    }

    /// How many bytes a message has on average, rounded down; 0 where there is none.
    pub(crate) fn mean_len(&self) -> usize {
        self.bytes.len().checked_div(self.len()).unwrap_or_default()
    }
}

impl<M: AsRef<[u8]>> FromIterator<M> for MessageBatch {
    fn from_iter<I: IntoIterator<Item = M>>(messages: I) -> Self {
        let mut batch = Self::default();
        messages.into_iter().for_each(|message| batch.push(message.as_ref()));
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;
    use crate::scheme::ecdsa::{RecoverBatch, RecoverItem, SignatureBytes};

    fn item(byte: u8) -> RecoverItem {
        RecoverItem {
            digest: [byte; 32],
            signature: SignatureBytes { r: [1; 32], s: [1; 32] },
            recovery_id: 0,
            rules: Rules::Sec1,
        }
    }

    #[test]
    fn rejected_items_keep_their_place() {
        let mut batch = RecoverBatch::default();
        batch.push_rejected(Reason::SignatureEncoding);
        batch.push(item(7));
        batch.push_parsed(Err(Reason::KeyEncoding));
        batch.push_parsed(Ok(item(9)));
        let seen: Vec<_> = (0..5).map(|index| batch.get(index).map(|item| item.map(|item| item.digest[0]))).collect();
        assert_eq!(
            seen,
            [Some(Err(Reason::SignatureEncoding)), Some(Ok(7)), Some(Err(Reason::KeyEncoding)), Some(Ok(9)), None]
        );
    }

    #[test]
    fn messages_are_cut_where_they_were_joined() {
        let batch: MessageBatch = ["", "ab", "", "c"].into_iter().collect();
        let seen: Vec<_> = (0..=4).map(|index| batch.get(index)).collect();
        assert_eq!(seen, [Some(&b""[..]), Some(b"ab"), Some(b""), Some(b"c"), None]);
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn parts_and_clones_share_items_until_they_are_added_to() {
        let seen = |batch: &RecoverBatch| -> Vec<_> {
            let seen = (0..=batch.len()).map(|index| batch.get(index).map(|item| item.map(|item| item.digest[0])));
            seen.collect()
        };
        let mut batch = RecoverBatch::default();
        for byte in 0..6 {
            batch.push_parsed(if byte % 3 == 1 { Err(Reason::KeyEncoding) } else { Ok(item(byte)) });
        }
        let bad = Some(Err(Reason::KeyEncoding));
        let good = |byte| Some(Ok(byte));
        let mut part = batch.part(2..5);
        assert_eq!((seen(&part), part.has_rejected()), (vec![good(2), good(3), bad, None], true));
        assert_eq!(seen(&part.part(1..9)), [good(3), bad, None]);
        assert_eq!([seen(&part.part(3..3)), seen(&batch.part(9..12))], [[None], [None]]);
        assert!(!batch.part(2..4).has_rejected());
        part.push(item(9));
        part.push_rejected(Reason::Mismatch);
        let mut clone = batch.clone();
        clone.push(item(7));
        assert_eq!(seen(&part), [good(2), good(3), bad, good(9), Some(Err(Reason::Mismatch)), None]);
        assert_eq!(seen(&clone).len(), 8);
        assert_eq!(seen(&batch), [good(0), bad, good(2), good(3), bad, good(5), None]);

        let messages: MessageBatch = ["", "ab", "", "c", "def"].into_iter().collect();
        for (range, expected) in
            [(0..5, vec!["", "ab", "", "c", "def"]), (1..4, vec!["ab", "", "c"]), (4..9, vec!["def"]), (7..9, vec![])]
        {
            let part = messages.part(range);
            assert_eq!(
                part.iter_from(0).collect::<Vec<_>>(),
                expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>()
            );
        }
    }
}
