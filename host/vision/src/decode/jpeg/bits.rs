//! The bit stream of a scan (ITU-T T.81, F.2.2.5): bytes with a zero after each 0xff, up to the next marker.

/// Reads bits, most significant first. Past the end it gives zeros and remembers how many.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    start: usize,
    at: usize,
    /// The next bits, from the top; those below `count` may be set already, to what they will be.
    buffer: u64,
    count: u32,
    /// Zeros handed out that no byte stands for.
    padding: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, start: at, at, buffer: 0, count: 0, padding: 0 }
    }

    /// Makes at least 57 bits available.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if let Some(bytes) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(*bytes);
            let inverse = !word;
            // A byte of `word` is 0xff where one of `inverse` is zero.
            let has_ff = inverse.wrapping_sub(0x0101_0101_0101_0101) & !inverse & 0x8080_8080_8080_8080;
            if has_ff == 0 {
                self.buffer |= word >> self.count;
                let bytes = (63 - self.count) >> 3;
                self.at += bytes as usize;
                self.count += bytes * 8;
                return;
            }
        }
        self.refill_slowly();
    }

    #[cold]
    fn refill_slowly(&mut self) {
        // Bits below `count` were put there ahead of time by the fast path; the same bytes come again.
        self.buffer &= if self.count == 0 { 0 } else { u64::MAX << (64 - self.count) };
        while self.count <= 56 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xff), Some(0)) => {
                    self.at += 2;
                    0xff
                }
                (Some(0xff) | None, _) => {
                    self.padding += 8;
                    0
                }
                (Some(byte), _) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Refills when fewer than 32 bits are left.
    #[inline(always)]
    pub(super) fn ensure(&mut self) {
        if self.count < 32 {
            self.refill();
        }
    }

    /// The next `length` bits (1..=16) without stepping over them.
    #[inline(always)]
    pub(super) fn peek(&self, length: u32) -> u32 {
        (self.buffer >> (64 - length)) as u32
    }

    #[inline(always)]
    pub(super) fn skip(&mut self, length: u32) {
        self.buffer <<= length;
        // Between refills more is never taken than there is; a wrapped count would only repeat bits.
        self.count = self.count.wrapping_sub(length);
    }

    /// The next `length` bits (0..=16) as a number.
    #[inline(always)]
    pub(super) fn take(&mut self, length: u32) -> u32 {
        if length == 0 {
            return 0;
        }
        let value = self.peek(length);
        self.skip(length);
        value
    }

    /// The next `length` bits (0..=16) as a signed magnitude (F.2.2.1, EXTEND).
    #[inline(always)]
    pub(super) fn take_signed(&mut self, length: u32) -> i32 {
        let value = self.take(length) as i32;
        if length > 0 && value < 1 << (length - 1) { value - (1 << length) + 1 } else { value }
    }

    /// Whether bits were taken that the stream does not have.
    pub(super) fn is_overrun(&self) -> bool {
        self.padding > self.count
    }

    /// Drops what is left of the current byte, steps over a restart marker and starts anew behind it; `None` when none is there.
    pub(super) fn restart(&mut self) -> Option<()> {
        let at = self.next_marker();
        let marker = self.data.get(at..at + 2)?;
        if !matches!(marker, [0xff, 0xd0..=0xd7]) {
            return None;
        }
        *self = Self::new(self.data, at + 2);
        Some(())
    }

    /// Where the marker that ends this stream begins, or the end of the data.
    pub(super) fn next_marker(&self) -> usize {
        // At most eight whole bytes were read ahead, none of them across a marker.
        let ahead = self.count.saturating_sub(self.padding) / 8;
        let mut at = self.at.saturating_sub(2 * ahead as usize).max(self.start);
        while let Some(byte) = self.data.get(at) {
            match self.data.get(at + 1) {
                Some(0xff) if *byte == 0xff => at += 1,
                Some(0) if *byte == 0xff => at += 2,
                Some(_) if *byte == 0xff => return at,
                _ => at += 1,
            }
        }
        self.data.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_in_order_with_stuffed_zeros_left_out() {
        let data = [0b1010_0101, 0xff, 0x00, 0x0f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xff, 0xd9];
        let mut bits = Bits::new(&data, 0);
        bits.refill();
        assert_eq!((bits.take(4), bits.take(4), bits.take(8), bits.take(8)), (0b1010, 0b0101, 0xff, 0x0f));
        for byte in 1..=12 {
            bits.ensure();
            assert_eq!(bits.take(8), byte);
        }
        assert!(!bits.is_overrun());
        bits.ensure();
        assert_eq!((bits.take(1), bits.is_overrun(), bits.next_marker()), (0, true, 16));
    }

    #[test]
    fn magnitudes_are_extended_to_signed_numbers() {
        for (length, bits, value) in [(1, 0b0, -1), (1, 0b1, 1), (3, 0b000, -7), (3, 0b011, -4), (3, 0b100, 4), (3, 0b111, 7)] {
            let data = [(bits << (8 - length)) as u8; 16];
            let mut reader = Bits::new(&data, 0);
            reader.refill();
            assert_eq!(reader.take_signed(length), value);
        }
    }

    #[test]
    fn a_restart_marker_is_found_after_the_last_bits() {
        let data = [0xab, 0xff, 0x00, 0xff, 0xd3, 0x55, 0xff, 0xd9];
        let mut bits = Bits::new(&data, 0);
        bits.refill();
        assert_eq!(bits.take(12), 0xabf);
        bits.restart().unwrap();
        bits.refill();
        assert_eq!(bits.take(8), 0x55);
        assert!(bits.restart().is_none(), "the end is no restart");
    }
}
