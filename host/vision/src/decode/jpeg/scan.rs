//! Entropy-coded blocks: sequential (ITU-T T.81, F.2) and progressive (G.2).

use super::bits::Bits;
use super::huffman::{BadCode, Table};
use super::segments::ZIGZAG;

/// The quantised coefficients of a block, in natural order.
pub(super) type Coefficients = [i16; 64];

#[inline(always)]
fn put(block: &mut Coefficients, at: usize, value: i16) {
    let place = ZIGZAG.get(at).copied().unwrap_or(63);
    if let Some(coefficient) = block.get_mut(usize::from(place & 63)) {
        *coefficient = value;
    }
}

/// Steps a DC prediction by the next difference.
#[inline(always)]
fn next_dc(bits: &mut Bits, table: &Table, prediction: &mut i32) -> Result<(), BadCode> {
    bits.ensure();
    let length = table.symbol(bits)?;
    if length > 15 {
        return Err(BadCode);
    }
    *prediction = prediction.wrapping_add(bits.take_signed(length.into()));
    Ok(())
}

fn saturated(value: i32) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// Decodes a whole block. Without `KEEP` it only steps over it, and `block` stays as it is. Gives the place, in coding order, of the
/// last coefficient that is not zero.
#[inline(always)]
pub(super) fn sequential<const KEEP: bool>(
    bits: &mut Bits,
    dc: &Table,
    ac: &Table,
    prediction: &mut i32,
    block: &mut Coefficients,
) -> Result<u8, BadCode> {
    next_dc(bits, dc, prediction)?;
    if KEEP {
        put(block, 0, saturated(*prediction));
    }
    let (mut at, mut last) = (1usize, 0usize);
    while at < 64 {
        bits.ensure();
        let (mut value, mut run, taken) = ac.value(bits);
        if taken > 0 {
            bits.skip(taken.into());
        } else {
            let symbol = ac.symbol(bits)?;
            let length = symbol & 15;
            run = symbol >> 4;
            if length == 0 {
                if run < 15 {
                    break;
                }
                at += 16;
                continue;
            }
            value = bits.take_signed(length.into()) as i16;
        }
        at += usize::from(run);
        if at > 63 {
            return Err(BadCode);
        }
        if KEEP {
            put(block, at, value);
        }
        last = at;
        at += 1;
    }
    Ok(last as u8)
}

/// The first scan of DC coefficients.
pub(super) fn dc_first(bits: &mut Bits, dc: &Table, prediction: &mut i32, low: u32, block: &mut Coefficients) -> Result<(), BadCode> {
    next_dc(bits, dc, prediction)?;
    put(block, 0, saturated(prediction.wrapping_shl(low)));
    Ok(())
}

/// A later scan of DC coefficients: one more bit.
pub(super) fn dc_refine(bits: &mut Bits, low: u32, block: &mut Coefficients) {
    bits.ensure();
    if bits.take(1) == 1
        && let Some(dc) = block.first_mut()
    {
        *dc |= 1 << low;
    }
}

/// The band of a progressive AC scan and the blocks still to come that end at once.
pub(super) struct Band {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) low: u32,
    pub(super) skipped: u32,
}

impl Band {
    /// The number of blocks, this one among them, of a run of ends of band.
    fn end_run(bits: &mut Bits, run: u8) -> u32 {
        bits.ensure();
        (1 << run) + bits.take(run.into())
    }

    /// The first scan of a band.
    pub(super) fn first(&mut self, bits: &mut Bits, ac: &Table, block: &mut Coefficients) -> Result<(), BadCode> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        let mut at = self.start;
        while at <= self.end {
            bits.ensure();
            let symbol = ac.symbol(bits)?;
            let (run, length) = (symbol >> 4, symbol & 15);
            if length == 0 {
                if run < 15 {
                    self.skipped = Self::end_run(bits, run) - 1;
                    break;
                }
                at += 16;
                continue;
            }
            at += usize::from(run);
            if at > self.end {
                return Err(BadCode);
            }
            put(block, at, (bits.take_signed(length.into()) << self.low) as i16);
            at += 1;
        }
        Ok(())
    }

    /// A later scan of a band: one more bit of what is there, and what becomes one.
    pub(super) fn refine(&mut self, bits: &mut Bits, ac: &Table, block: &mut Coefficients) -> Result<(), BadCode> {
        let mut at = self.start;
        if self.skipped == 0 {
            while at <= self.end {
                bits.ensure();
                let symbol = ac.symbol(bits)?;
                let (mut run, length) = (u32::from(symbol >> 4), symbol & 15);
                let mut value = 0;
                match length {
                    0 if run < 15 => {
                        self.skipped = Self::end_run(bits, run as u8);
                        break;
                    }
                    0 => {}
                    1 => value = if bits.take(1) == 1 { 1 << self.low } else { -(1 << self.low) },
                    _ => return Err(BadCode),
                }
                at = self.refine_until(bits, block, at, &mut run);
                if value != 0 {
                    if at > self.end {
                        return Err(BadCode);
                    }
                    put(block, at, value);
                }
                at += 1;
            }
        }
        if self.skipped > 0 {
            // No run of zeros ends within the band: every coefficient that is there gets its bit.
            let mut endless = u32::MAX;
            self.refine_until(bits, block, at, &mut endless);
            self.skipped -= 1;
        }
        Ok(())
    }

    /// Gives a bit to each coefficient that is there, until `zeros` others were passed and one more is met, or the band ends.
    fn refine_until(&self, bits: &mut Bits, block: &mut Coefficients, from: usize, zeros: &mut u32) -> usize {
        let mut at = from;
        while at <= self.end {
            let place = ZIGZAG.get(at).copied().unwrap_or(63);
            let Some(coefficient) = block.get_mut(usize::from(place & 63)) else { break };
            if *coefficient != 0 {
                bits.ensure();
                let bit = 1i16 << self.low;
                if bits.take(1) == 1 && *coefficient & bit == 0 {
                    *coefficient = coefficient.saturating_add(if *coefficient > 0 { bit } else { -bit });
                }
            } else if *zeros == 0 {
                break;
            } else {
                *zeros -= 1;
            }
            at += 1;
        }
        at
    }
}
