//! Bytes of pixels into numbers.

use crate::input::Scaling;

/// Values of a whole number of pixels and of registers.
const CHUNK: usize = 48;

/// `byte · factor + offset` for each channel, spread over [`CHUNK`] values. A channel comes from the byte in its place or, when
/// red and blue change places, from the one two further or two before: three sums of which all but one term are zero take no
/// shuffling.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PixelScaling {
    after: [f32; CHUNK],
    here: [f32; CHUNK],
    before: [f32; CHUNK],
    offsets: [f32; CHUNK],
    swap: bool,
}

impl PixelScaling {
    pub(crate) fn new(scaling: &Scaling) -> Self {
        let mut this = Self { after: [0.0; CHUNK], here: [0.0; CHUNK], before: [0.0; CHUNK], offsets: [0.0; CHUNK], swap: !scaling.rgb };
        for value in 0..CHUNK {
            let channel = value % 3;
            let factor = 1.0 / scaling.deviation[channel];
            this.offsets[value] = -scaling.mean[channel] / scaling.deviation[channel];
            match channel {
                0 if this.swap => this.after[value] = factor,
                2 if this.swap => this.before[value] = factor,
                _ => this.here[value] = factor,
            }
        }
        this
    }

    /// The numbers of a pixel.
    pub(crate) fn pixel(&self, [r, g, b]: [u8; 3]) -> [f32; 3] {
        let bytes = if self.swap { [b, g, r] } else { [r, g, b] };
        let mut to = [0.0; 3];
        for channel in 0..3 {
            let factor = self.after[channel] + self.here[channel] + self.before[channel];
            to[channel] = f32::from(bytes[channel]) * factor + self.offsets[channel];
        }
        to
    }

    /// The numbers of pixels side by side, `bytes` three of each; as many as both have.
    #[inline(always)]
    pub(super) fn pixels(&self, bytes: &[u8], to: &mut [f32]) {
        let length = bytes.len().min(to.len()) / 3 * 3;
        // A chunk looks two bytes back and ahead, so the first pixel and the last ones go alone.
        self.one_by_one(bytes, to, 0, length.min(3));
        let mut done = 3;
        while done + CHUNK + 2 <= length {
            let (Some(before), Some(here), Some(after), Some(to)) = (
                bytes.get(done - 2..).and_then(|bytes| bytes.first_chunk::<CHUNK>()),
                bytes.get(done..).and_then(|bytes| bytes.first_chunk::<CHUNK>()),
                bytes.get(done + 2..).and_then(|bytes| bytes.first_chunk::<CHUNK>()),
                to.get_mut(done..).and_then(|to| to.first_chunk_mut::<CHUNK>()),
            ) else {
                break;
            };
            for value in 0..CHUNK {
                to[value] = f32::from(before[value]) * self.before[value]
                    + f32::from(here[value]) * self.here[value]
                    + f32::from(after[value]) * self.after[value]
                    + self.offsets[value];
            }
            done += CHUNK;
        }
        self.one_by_one(bytes, to, done, length);
    }

    fn one_by_one(&self, bytes: &[u8], to: &mut [f32], start: usize, end: usize) {
        let (Some(bytes), Some(to)) = (bytes.get(start..end), to.get_mut(start..end)) else { return };
        for (bytes, to) in bytes.as_chunks::<3>().0.iter().zip(to.as_chunks_mut::<3>().0) {
            *to = self.pixel(*bytes);
        }
    }
}

/// Puts values of three planes side by side; as many as all have.
#[inline(always)]
pub(super) fn interleave([a, b, c]: [&[f32]; 3], to: &mut [f32]) {
    for (((to, a), b), c) in to.as_chunks_mut::<3>().0.iter_mut().zip(a).zip(b).zip(c) {
        *to = [*a, *b, *c];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_of_a_row_is_scaled_wherever_it_stands() {
        for rgb in [true, false] {
            let scaling = Scaling { rgb, mean: [10.0, 20.0, 30.0], deviation: [2.0, 4.0, 8.0] };
            let prepared = PixelScaling::new(&scaling);
            for pixels in (0..40).chain([100, 640]) {
                let bytes: Vec<u8> = (0..pixels * 3).map(|index| (index * 37 % 251) as u8).collect();
                let mut found = vec![f32::NAN; bytes.len()];
                prepared.pixels(&bytes, &mut found);
                for (pixel, found) in bytes.chunks(3).zip(found.chunks(3)) {
                    for channel in 0..3 {
                        let byte = f32::from(pixel[if rgb { channel } else { 2 - channel }]);
                        let expected = (byte - scaling.mean[channel]) / scaling.deviation[channel];
                        assert!((found[channel] - expected).abs() < 1e-5, "{pixels} pixels: {found:?}");
                    }
                }
            }
        }
    }
}
