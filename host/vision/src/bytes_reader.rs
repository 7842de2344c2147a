//! Walking the headers of a file without ever reading past its end.

use std::ops::Range;

/// A place in some bytes. Every read answers `None` past the end and then leaves the place as it was.
#[derive(Debug, Clone)]
pub(crate) struct BytesReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BytesReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes already read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The range of the next `length` bytes, which are stepped over.
    pub(crate) fn range(&mut self, length: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let range = self.at..end;
        self.at = end;
        Some(range)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        self.range(length).and_then(|range| self.bytes.get(range))
    }

    pub(crate) fn skip(&mut self, length: usize) -> Option<()> {
        self.range(length).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16_be(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u16_le(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u24_le(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    pub(crate) fn u32_be(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64_be(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_changes_nothing() {
        let mut reader = BytesReader::new(&[1, 2, 3]);
        assert_eq!(reader.u16_be(), Some(0x0102));
        assert_eq!(reader.u16_be(), None);
        assert_eq!(reader.take(usize::MAX), None);
        assert_eq!((reader.position(), reader.u8(), reader.is_at_end()), (2, Some(3), true));
    }
}
