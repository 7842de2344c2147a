//! Huffman tables (ITU-T T.81, Annex C) with two shortcuts: codes of up to ten bits are looked up, and so are AC codes together with
//! their value where both fit into ten bits.

use super::bits::Bits;

const LOOKUP_BITS: u32 = 10;
const LOOKUP_SIZE: usize = 1 << LOOKUP_BITS;

/// A code that no table has: the stream is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadCode;

#[derive(Clone)]
pub(super) struct Table {
    /// Symbol and length of the code these bits begin with; length 0 for longer codes.
    lookup: [(u8, u8); LOOKUP_SIZE],
    /// The value, the zeros before it and the bits of code and value together; 0 bits where they do not fit.
    values: [(i16, u8, u8); LOOKUP_SIZE],
    /// Per length 1..=16: the first code beyond it, aligned to 16 bits, and what to add to a code to find its symbol.
    ends: [(u32, i32); 16],
    symbols: Vec<u8>,
}

impl Table {
    /// From the number of codes of each length, 1..=16, and the symbols by rising code; `None` when that makes no prefix code.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Box<Self>> {
        let mut table = Box::new(Self {
            lookup: [(0, 0); LOOKUP_SIZE],
            values: [(0, 0, 0); LOOKUP_SIZE],
            ends: [(0, 0); 16],
            symbols: symbols.to_vec(),
        });
        let (mut code, mut index) = (0u32, 0usize);
        for (length, (count, end)) in (1u32..).zip(counts.iter().zip(&mut table.ends)) {
            *end = (0, index as i32 - code as i32);
            for _ in 0..*count {
                let symbol = *symbols.get(index)?;
                if length <= LOOKUP_BITS {
                    let first = (code << (LOOKUP_BITS - length)) as usize;
                    let entries = table.lookup.get_mut(first..first + (1 << (LOOKUP_BITS - length)))?;
                    entries.fill((symbol, length as u8));
                }
                code += 1;
                index += 1;
            }
            if code > 1 << length {
                return None;
            }
            end.0 = code << (16 - length);
            code <<= 1;
        }
        table.fill_values();
        (index == symbols.len()).then_some(table)
    }

    fn fill_values(&mut self) {
        for (bits, (value, (symbol, length))) in (0u32..).zip(self.values.iter_mut().zip(&self.lookup)) {
            let (run, magnitude, length) = (symbol >> 4, u32::from(symbol & 15), u32::from(*length));
            if length == 0 || magnitude == 0 || length + magnitude > LOOKUP_BITS {
                continue;
            }
            let number = ((bits >> (LOOKUP_BITS - length - magnitude)) & ((1 << magnitude) - 1)) as i32;
            let signed = if number < 1 << (magnitude - 1) { number - (1 << magnitude) + 1 } else { number };
            *value = (signed as i16, run, (length + magnitude) as u8);
        }
    }

    /// The next symbol. At least 16 bits must be available.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits) -> Result<u8, BadCode> {
        let (symbol, length) = self.lookup.get(bits.peek(LOOKUP_BITS) as usize).copied().unwrap_or_default();
        if length > 0 {
            bits.skip(length.into());
            return Ok(symbol);
        }
        self.long_symbol(bits)
    }

    #[cold]
    fn long_symbol(&self, bits: &mut Bits) -> Result<u8, BadCode> {
        let next = bits.peek(16);
        let found = (1u32..).zip(&self.ends).skip(LOOKUP_BITS as usize).find(|(_, (end, _))| next < *end);
        let (length, (_, offset)) = found.ok_or(BadCode)?;
        let code = (next >> (16 - length)) as i32;
        bits.skip(length);
        usize::try_from(code + offset).ok().and_then(|index| self.symbols.get(index)).copied().ok_or(BadCode)
    }

    /// The next AC value with the zeros before it, when both are in the table: `(value, zeros, bits)`, and no bits otherwise.
    #[inline(always)]
    pub(super) fn value(&self, bits: &Bits) -> (i16, u8, u8) {
        self.values.get(bits.peek(LOOKUP_BITS) as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_codes_are_found() {
        // Lengths 1, 2, …, 11, 12, 12: a comb whose last codes are longer than the lookup.
        let mut counts = [0u8; 16];
        counts[..11].fill(1);
        counts[11] = 2;
        let symbols: Vec<u8> = (0..13).collect();
        let table = Table::new(&counts, &symbols).unwrap();
        // Symbol 0, symbol 10 (ten ones and a zero), symbol 12 (twelve ones), symbol 11 (eleven ones and a zero).
        let data = [0b0111_1111, 0b1110_1111, 0b1111_1111, 0b0000_0000, 0b1111_1111, 0, 0b1110_0000, 0, 0, 0, 0];
        let mut bits = Bits::new(&data, 0);
        let mut next = || {
            bits.ensure();
            table.symbol(&mut bits)
        };
        assert_eq!([next(), next(), next()], [Ok(0), Ok(10), Ok(12)]);
    }

    #[test]
    fn too_many_codes_or_too_few_symbols_are_refused() {
        let counts = |first: u8| [&[first][..], &[0; 15]].concat().try_into().unwrap();
        assert!(Table::new(&counts(3), &[1, 2, 3]).is_none());
        assert!(Table::new(&counts(2), &[1]).is_none());
        assert!(Table::new(&counts(1), &[1, 2]).is_none());
        assert!(Table::new(&counts(2), &[1, 2]).is_some());
    }

    #[test]
    fn a_value_is_found_with_its_code() {
        // One code, `0`, for two zeros and a value of three bits.
        let table = Table::new(&[&[1][..], &[0; 15]].concat().try_into().unwrap(), &[0x23]).unwrap();
        let mut bits = Bits::new(&[0b0101_0000, 0, 0, 0, 0, 0, 0, 0], 0);
        bits.refill();
        assert_eq!(table.value(&bits), (5, 2, 4));
    }
}
