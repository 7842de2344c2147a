//! JPEG (ITU-T T.81): baseline, extended sequential and progressive with Huffman codes, 8 bits, one, three or four components.
//!
//! Written for crops. Of a rectangle only the blocks that it touches are transformed and converted, and a baseline file is
//! read no further than its last row; at a reduced scale (1/2, 1/4, 1/8) the transform gives fewer samples, and chroma that is stored
//! at half the size is not stretched at all. What no decoder can leave out is reading the codes.
//!
//! A stream whose codes run past its data, or that lacks a restart marker, is damaged: nothing is filled up with grey. The clock is
//! looked at after each row of MCUs. A progressive file needs all its coefficients at once: two bytes a sample beside the pixels.

mod bits;
mod huffman;
mod inverse_dct;
mod pixels;
mod planes;
mod scan;
mod segments;

use breakwater_core::{Rect, Size};

use self::bits::Bits;
use self::huffman::{BadCode, Table};
use self::pixels::Colours;
use self::planes::{Block, Plane, Range};
use self::scan::{Band, Coefficients};
use self::segments::{Frame, Scan, Tables};
use super::{Piece, Wanted};
use crate::bytes_reader::BytesReader;
use crate::header::jpeg::{JpegHeader, marker, next_marker, segment};
use crate::limits::Clock;
use crate::raster::Raster;
use crate::{Format, VisionError, colour};

fn corrupt(reason: impl ToString) -> VisionError {
    VisionError::corrupt(Format::Jpeg, reason)
}

impl From<BadCode> for VisionError {
    fn from(_: BadCode) -> Self {
        corrupt("its coded data make no sense")
    }
}

/// `wanted` is in stored pixels.
pub(super) fn decode(bytes: &[u8], wanted: Wanted, clock: Clock) -> Result<Piece, VisionError> {
    let jpeg = JpegHeader::read(bytes)?;
    jpeg.check_complete(bytes)?;
    let stored = jpeg.header.stored;
    let scale = wanted.at_least.map_or(1, |at_least| reduction(stored, at_least));
    let whole = reduced(stored, scale);
    let area = wanted.area.map_or(whole.rect(), |area| covered(area, scale, whole));

    let mut decoder = Decoder { bytes, tables: Tables::default(), clock };
    let (part, planes, ids) = decoder.planes(scale, area)?;
    let area = part.pixels(whole);
    let mut pixels = vec![0; (area.size().pixels() as usize).saturating_mul(Raster::CHANNELS)];
    let icc = jpeg.header.icc.as_deref();
    pixels::fill(&planes, colours(&jpeg, &ids), icc, area.width as usize, &mut pixels);
    drop(planes);
    clock.check()?;
    let mut raster = Raster::new(area.size(), true, pixels).ok_or_else(|| corrupt("it holds no pixels"))?;
    match jpeg.components {
        1 => colour::grey_to_srgb(&mut raster, icc),
        3 => colour::rgb_to_srgb(&mut raster, icc),
        _ => {}
    }
    Ok(Piece { raster, area, whole })
}

/// The strongest of the reductions to 1/8, 1/4 and 1/2 that still covers `wanted`, or 1.
fn reduction(stored: Size, wanted: Size) -> usize {
    let covers = |scale: &usize| {
        let size = reduced(stored, *scale);
        size.width >= wanted.width && size.height >= wanted.height
    };
    [8, 4, 2].into_iter().find(covers).unwrap_or(1)
}

fn reduced(size: Size, scale: usize) -> Size {
    Size::new(size.width.div_ceil(scale as u32), size.height.div_ceil(scale as u32))
}

/// The pixels of the reduced picture that `area` of the stored one reaches.
fn covered(area: Rect, scale: usize, whole: Size) -> Rect {
    let scale = scale as u32;
    let (left, top) = (area.x / scale, area.y / scale);
    let right = area.x.saturating_add(area.width).div_ceil(scale).min(whole.width);
    let bottom = area.y.saturating_add(area.height).div_ceil(scale).min(whole.height);
    Rect::new(left, top, right.saturating_sub(left), bottom.saturating_sub(top))
}

/// What the components are: by JFIF's segment, else Adobe's, else their identifiers, as libjpeg decides it.
fn colours(jpeg: &JpegHeader, ids: &[u8]) -> Colours {
    match (jpeg.components, jpeg.adobe_transform) {
        (1, _) => Colours::Grey,
        (3, _) if jpeg.jfif => Colours::YCbCr,
        (3, Some(0)) => Colours::Rgb,
        (3, None) if ids == b"RGB" => Colours::Rgb,
        (3, _) => Colours::YCbCr,
        (_, Some(2)) => Colours::Ycck { inverted: true },
        (_, adobe) => Colours::Cmyk { inverted: adobe.is_some() },
    }
}

/// The MCUs that are wanted and the pixels one has at the chosen scale.
struct Part {
    columns: Range,
    rows: Range,
    mcu: (usize, usize),
    scale: usize,
}

impl Part {
    fn new(frame: &Frame, scale: usize, area: Rect) -> Self {
        let mcu = (frame.most.0 * 8 / scale, frame.most.1 * 8 / scale);
        let touched = |start: u32, length: u32, mcu: usize, all: usize| {
            let end = (start as usize + length as usize).div_ceil(mcu).min(all);
            start as usize / mcu..end
        };
        let columns = touched(area.x, area.width, mcu.0, frame.mcus.0);
        Self { columns, rows: touched(area.y, area.height, mcu.1, frame.mcus.1), mcu, scale }
    }

    /// The pixels these MCUs cover.
    fn pixels(&self, whole: Size) -> Rect {
        let (left, top) = (self.columns.start * self.mcu.0, self.rows.start * self.mcu.1);
        let right = (self.columns.end * self.mcu.0).min(whole.width as usize);
        let bottom = (self.rows.end * self.mcu.1).min(whole.height as usize);
        Rect::new(left as u32, top as u32, right.saturating_sub(left) as u32, bottom.saturating_sub(top) as u32)
    }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    tables: Tables,
    clock: Clock,
}

/// A component of a scan with its tables and prediction.
struct Coder<'a> {
    index: usize,
    across: usize,
    down: usize,
    dc: Option<&'a Table>,
    ac: Option<&'a Table>,
    prediction: i32,
}

/// A table that a scan asks for must have been defined.
fn defined(table: Option<&Table>) -> Result<&Table, VisionError> {
    table.ok_or_else(|| corrupt("a scan uses a table that was not defined"))
}

impl Decoder<'_> {
    /// Walks the segments and decodes the part of the picture that holds `area`.
    fn planes(&mut self, scale: usize, area: Rect) -> Result<(Part, Vec<Plane>, Vec<u8>), VisionError> {
        let mut reader = BytesReader::new(self.bytes);
        let mut frame: Option<Frame> = None;
        let mut coefficients: Vec<Vec<Coefficients>> = Vec::new();
        loop {
            let code = next_marker(&mut reader).ok_or_else(|| corrupt("it ends before its end marker"))?;
            if code == marker::END {
                break;
            }
            if matches!(code, marker::START | marker::TEMPORARY | 0xd0..=0xd7) {
                continue;
            }
            let content = segment(&mut reader).ok_or_else(|| corrupt("a segment reaches past its end"))?;
            let understood = match code {
                marker::QUANTISATION => self.tables.quantisation(content),
                marker::HUFFMAN => self.tables.huffman(content),
                marker::RESTART_INTERVAL => self.tables.restart_interval(content),
                marker::BASELINE..=marker::PROGRESSIVE => {
                    if frame.is_some() {
                        return Err(corrupt("it has two frames"));
                    }
                    frame = Frame::read(content, code == marker::PROGRESSIVE);
                    frame.as_ref().map(|_| ())
                }
                marker::START_OF_SCAN => {
                    let frame = frame.as_mut().ok_or_else(|| corrupt("a scan precedes the frame"))?;
                    let scan = frame.scan(content, &self.tables).ok_or_else(|| corrupt("a scan header makes no sense"))?;
                    let mut bits = Bits::new(self.bytes, reader.position());
                    if coefficients.is_empty() && !frame.progressive && scan.components.len() == frame.components.len() {
                        let part = Part::new(frame, scale, area);
                        let planes = self.at_once(frame, &scan, &mut bits, &part)?;
                        return Ok((part, planes, frame.ids()));
                    }
                    if coefficients.is_empty() {
                        let blocks = |c: &segments::Component| frame.mcus.0 * c.across * frame.mcus.1 * c.down;
                        coefficients = frame.components.iter().map(|c| vec![[0; 64]; blocks(c)]).collect();
                    }
                    self.one_scan(frame, &scan, &mut bits, &mut coefficients)?;
                    reader = BytesReader::new(self.bytes);
                    reader.skip(bits.next_marker())
                }
                _ => Some(()),
            };
            understood.ok_or_else(|| corrupt("a segment makes no sense"))?;
        }
        let frame = frame.ok_or_else(|| corrupt("it has no frame"))?;
        let part = Part::new(&frame, scale, area);
        let planes = self.from_coefficients(&frame, &coefficients, &part)?;
        Ok((part, planes, frame.ids()))
    }

    fn empty_planes(frame: &Frame, part: &Part) -> Result<Vec<Plane>, VisionError> {
        let plane = |component| {
            Plane::new(frame, component, part.columns.len(), part.rows.len(), part.scale)
                .ok_or_else(|| VisionError::unsupported("JPEG with these sampling factors, or without quantisation, is not supported"))
        };
        frame.components.iter().map(plane).collect()
    }

    fn coders(&self, frame: &Frame, scan: &Scan) -> Vec<Coder<'_>> {
        let coder = |part: &segments::ScanComponent| {
            let component = frame.components.get(part.index)?;
            Some(Coder {
                index: part.index,
                across: component.across,
                down: component.down,
                dc: self.tables.dc.get(part.dc_table).and_then(Option::as_deref),
                ac: self.tables.ac.get(part.ac_table).and_then(Option::as_deref),
                prediction: 0,
            })
        };
        scan.components.iter().filter_map(coder).collect()
    }

    /// A sequential file with all components in one scan: each row of MCUs is decoded and transformed while it is in the cache.
    fn at_once(&self, frame: &Frame, scan: &Scan, bits: &mut Bits, part: &Part) -> Result<Vec<Plane>, VisionError> {
        let mut planes = Self::empty_planes(frame, part)?;
        let mut coders = self.coders(frame, scan);
        let columns = part.columns.len();
        let mut blocks: Vec<Vec<Block>> = coders.iter().map(|coder| vec![Block::EMPTY; columns * coder.across * coder.down]).collect();
        let mut passed = [0; 64];
        let mut restart = Restart::new(self.tables.restart);
        for row in 0..part.rows.end {
            let row_wanted = row >= part.rows.start;
            for column in 0..frame.mcus.0 {
                if restart.is_due() {
                    restart.take(bits)?;
                    coders.iter_mut().for_each(|coder| coder.prediction = 0);
                }
                let place = (row_wanted && part.columns.contains(&column)).then(|| column - part.columns.start);
                for (coder, blocks) in coders.iter_mut().zip(&mut blocks) {
                    let (dc, ac) = (defined(coder.dc)?, defined(coder.ac)?);
                    let Some(place) = place else {
                        for _ in 0..coder.across * coder.down {
                            scan::sequential::<false>(bits, dc, ac, &mut coder.prediction, &mut passed)?;
                        }
                        continue;
                    };
                    for line in blocks.chunks_exact_mut(columns * coder.across) {
                        let start = place * coder.across;
                        for block in line.get_mut(start..start + coder.across).unwrap_or_default() {
                            block.coefficients = [0; 64];
                            block.last = scan::sequential::<true>(bits, dc, ac, &mut coder.prediction, &mut block.coefficients)?;
                        }
                    }
                }
            }
            check_row(bits, self.clock)?;
            if row_wanted {
                for (coder, blocks) in coders.iter().zip(&blocks) {
                    let Some(plane) = planes.get_mut(coder.index) else { continue };
                    for (line, blocks) in blocks.chunks_exact(columns * coder.across).enumerate() {
                        plane.put_row((row - part.rows.start) * coder.down + line, blocks);
                    }
                }
            }
        }
        Ok(planes)
    }

    /// One of several scans, into the coefficients of the whole picture.
    fn one_scan(&self, frame: &Frame, scan: &Scan, bits: &mut Bits, all: &mut [Vec<Coefficients>]) -> Result<(), VisionError> {
        let mut coders = self.coders(frame, scan);
        let mut restart = Restart::new(self.tables.restart);
        let mut band = Band { start: scan.spectral.0, end: scan.spectral.1, low: scan.low, skipped: 0 };
        let alone = match (coders.as_slice(), scan.components.first().and_then(|part| frame.components.get(part.index))) {
            ([_], Some(component)) => Some(frame.own_blocks(component)),
            _ => None,
        };
        let (columns, rows) = alone.unwrap_or(frame.mcus);
        for row in 0..rows {
            for column in 0..columns {
                if restart.is_due() {
                    restart.take(bits)?;
                    band.skipped = 0;
                    coders.iter_mut().for_each(|coder| coder.prediction = 0);
                }
                for coder in &mut coders {
                    let Some(blocks) = all.get_mut(coder.index) else { continue };
                    let width = frame.mcus.0 * coder.across;
                    let (across, down) = if alone.is_some() { (1, 1) } else { (coder.across, coder.down) };
                    for line in 0..down {
                        let start = (row * down + line) * width + column * across;
                        for block in blocks.get_mut(start..start + across).unwrap_or_default() {
                            one_block(frame, scan, coder, &mut band, bits, block)?;
                        }
                    }
                }
            }
            check_row(bits, self.clock)?;
        }
        Ok(())
    }

    fn from_coefficients(&self, frame: &Frame, all: &[Vec<Coefficients>], part: &Part) -> Result<Vec<Plane>, VisionError> {
        let mut planes = Self::empty_planes(frame, part)?;
        let mut blocks = Vec::new();
        for ((component, coefficients), plane) in frame.components.iter().zip(all).zip(&mut planes) {
            let width = frame.mcus.0 * component.across;
            let lines = coefficients.chunks_exact(width).skip(part.rows.start * component.down);
            for (row, line) in lines.take(part.rows.len() * component.down).enumerate() {
                let wanted = line.get(part.columns.start * component.across..part.columns.end * component.across).unwrap_or_default();
                let flat = |block: &Coefficients| block.iter().skip(1).all(|value| *value == 0);
                blocks.clear();
                blocks.extend(wanted.iter().map(|block| Block { coefficients: *block, last: if flat(block) { 0 } else { 63 } }));
                plane.put_row(row, &blocks);
            }
            self.clock.check()?;
        }
        Ok(planes)
    }
}

fn one_block(
    frame: &Frame,
    scan: &Scan,
    coder: &mut Coder,
    band: &mut Band,
    bits: &mut Bits,
    block: &mut Coefficients,
) -> Result<(), VisionError> {
    if !frame.progressive {
        scan::sequential::<true>(bits, defined(coder.dc)?, defined(coder.ac)?, &mut coder.prediction, block)?;
        return Ok(());
    }
    match (scan.spectral.0, scan.high) {
        (0, 0) => scan::dc_first(bits, defined(coder.dc)?, &mut coder.prediction, scan.low, block)?,
        (0, _) => scan::dc_refine(bits, scan.low, block),
        (_, 0) => band.first(bits, defined(coder.ac)?, block)?,
        (_, _) => band.refine(bits, defined(coder.ac)?, block)?,
    }
    Ok(())
}

fn check_row(bits: &Bits, clock: Clock) -> Result<(), VisionError> {
    if bits.is_overrun() {
        return Err(corrupt("its coded data end early"));
    }
    clock.check()
}

/// Counts MCUs to the next restart marker.
struct Restart {
    interval: usize,
    left: usize,
}

impl Restart {
    fn new(interval: usize) -> Self {
        Self { interval, left: interval }
    }

    /// Whether a marker precedes the MCU that comes; counts that MCU.
    #[inline(always)]
    fn is_due(&mut self) -> bool {
        if self.interval == 0 {
            return false;
        }
        if self.left == 0 {
            self.left = self.interval - 1;
            return true;
        }
        self.left -= 1;
        false
    }

    fn take(&self, bits: &mut Bits) -> Result<(), VisionError> {
        if bits.is_overrun() {
            return Err(corrupt("its coded data end early"));
        }
        bits.restart().ok_or_else(|| corrupt("a restart marker is missing"))
    }
}
