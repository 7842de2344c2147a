//! What an image may cost, checked before it is paid.

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use breakwater_core::Size;

use crate::VisionError;

/// Bounds on one image. Bytes, pixels and edge are checked from the headers, before anything large is allocated.
///
/// Time is checked between the stages of the work (headers, decode, colour, turn, resize, encode) and inside a decode whenever the
/// decoder asks for more input: every 16 KiB of a PNG or GIF. JPEG, WebP and AVIF are decoded in one step that is bounded by
/// the pixels and, for progressive JPEG, by the number of scans; there the limit is noticed when the step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the source.
    pub max_bytes: u64,
    /// Pixels, summed over the frames of an animation.
    pub max_pixels: u64,
    /// The longer edge in pixels.
    pub max_edge: u32,
    /// Time one call may work on the image.
    pub max_time: Duration,
}

impl Default for Limits {
    /// 50 MiB, 50 million pixels, an edge of 30,000 pixels and ten seconds.
    fn default() -> Self {
        Self { max_bytes: 50 * 1024 * 1024, max_pixels: 50_000_000, max_edge: 30_000, max_time: Duration::from_secs(10) }
    }
}

impl Limits {
    pub(crate) fn check_bytes(&self, bytes: usize) -> Result<(), VisionError> {
        let bytes = bytes as u64;
        if bytes > self.max_bytes { Err(VisionError::TooManyBytes { bytes, limit: self.max_bytes }) } else { Ok(()) }
    }

    /// Checks the edge, then the pixels of `size` alone or of all frames, whichever is more.
    pub(crate) fn check_size(&self, size: Size, all_frames: u64) -> Result<(), VisionError> {
        if size.longer() > self.max_edge {
            return Err(VisionError::EdgeTooLong { edge: size.longer(), limit: self.max_edge });
        }
        let pixels = size.pixels().max(all_frames);
        if pixels > self.max_pixels {
            return Err(VisionError::TooManyPixels { pixels, limit: self.max_pixels });
        }
        Ok(())
    }

    /// Starts the clock of one call.
    pub(crate) fn start(&self) -> Clock {
        Clock { started: Instant::now(), limit: self.max_time }
    }
}

/// The time one call has left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    limit: Duration,
}

impl Clock {
    pub(crate) fn check(&self) -> Result<(), VisionError> {
        if self.started.elapsed() > self.limit { Err(VisionError::DecodeTimeout { limit: self.limit }) } else { Ok(()) }
    }
}

/// Hands bytes to a decoder in small pieces and stops it once the clock has run out, however little output it makes of them.
pub(crate) struct TimedReader<'a> {
    bytes: io::Cursor<&'a [u8]>,
    clock: Clock,
}

impl<'a> TimedReader<'a> {
    const PIECE: usize = 16 * 1024;

    pub(crate) fn new(bytes: &'a [u8], clock: Clock) -> Self {
        Self { bytes: io::Cursor::new(bytes), clock }
    }

    fn check(&self) -> io::Result<()> {
        self.clock.check().map_err(|error| io::Error::new(io::ErrorKind::TimedOut, error))
    }
}

impl Read for TimedReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let piece = into.len().min(Self::PIECE);
        into.get_mut(..piece).map_or(Ok(0), |into| self.bytes.read(into))
    }
}

impl BufRead for TimedReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        let rest = self.bytes.fill_buf()?;
        Ok(rest.get(..Self::PIECE).unwrap_or(rest))
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

impl Seek for TimedReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_crossed_one_above_its_value() {
        let limits = Limits { max_bytes: 10, max_pixels: 100, max_edge: 50, max_time: Duration::from_secs(1) };
        assert!(limits.check_bytes(10).is_ok());
        assert_eq!(limits.check_bytes(11).unwrap_err().code(), "image.too-many-bytes");
        assert!(limits.check_size(Size::new(50, 2), 0).is_ok());
        assert_eq!(limits.check_size(Size::new(51, 1), 0).unwrap_err().code(), "image.edge-too-long");
        assert_eq!(limits.check_size(Size::new(11, 10), 0).unwrap_err().code(), "image.too-many-pixels");
        assert_eq!(limits.check_size(Size::new(10, 10), 101).unwrap_err().code(), "image.too-many-pixels");
    }

    #[test]
    fn a_reader_out_of_time_fails_and_one_in_time_gives_everything() {
        let data = vec![7u8; 40_000];
        let late = Limits { max_time: Duration::ZERO, ..Limits::default() };
        let error = TimedReader::new(&data, late.start()).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let mut all = Vec::new();
        TimedReader::new(&data, Limits::default().start()).read_to_end(&mut all).unwrap();
        assert_eq!(all, data);
    }
}
