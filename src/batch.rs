//! Batches: ordered items, stored as columns.
//!
//! Columns are what every backend wants: a chunk of a batch is a slice of each column, and a GPU buffer is a
//! copy of one. They are private and only grow together, so they always have one length.

use crate::verdict::Reason;

/// The columns of one scheme.
pub trait Columns: Default + Send + Sync {
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
/// An item that does not parse still has its place, so that verdicts line up with what was handed in.
#[derive(Clone, Debug, Default)]
pub struct Batch<C> {
    columns: C,
    /// Items rejected while parsing, by rising index.
    rejected: Vec<(usize, Reason)>,
}

impl<C: Columns> Batch<C> {
    /// An empty batch with room for `capacity` items.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { columns: C::with_capacity(capacity), rejected: Vec::new() }
    }

    /// Appends an item.
    pub fn push(&mut self, item: C::Item) {
        self.columns.push(item);
    }

    /// Appends the place of an item that did not parse; its verdict is `Invalid(reason)`.
    pub fn push_rejected(&mut self, reason: Reason) {
        self.rejected.push((self.columns.len(), reason));
        self.columns.push(C::placeholder());
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
        self.columns.len()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
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
            Err(_) => self.columns.get(index).map(Ok),
        }
    }
}

impl<C: Columns> Extend<C::Item> for Batch<C> {
    fn extend<I: IntoIterator<Item = C::Item>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
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

    #[test]
    fn rejected_items_keep_their_place() {
        let item = |byte| RecoverItem {
            digest: [byte; 32],
            signature: SignatureBytes { r: [1; 32], s: [1; 32] },
            recovery_id: 0,
            rules: Rules::Sec1,
        };
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
}
