//! The segments that set a decode up: tables, frame and scan headers (ITU-T T.81, Annex B).

use breakwater_core::Size;

use super::huffman::Table;
use crate::bytes_reader::BytesReader;

/// Where the coefficients of a block belong, by the order they are coded in (figure A.6); coefficients past the end go to the last.
pub(super) const ZIGZAG: [u8; 80] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56,
    57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63, 63, 63, 63, 63, 63, 63,
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
];

/// Tables as the segments seen so far have left them.
#[derive(Default)]
pub(super) struct Tables {
    quantisation: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Box<Table>>; 4],
    pub(super) ac: [Option<Box<Table>>; 4],
    /// MCUs between restart markers; 0 for none.
    pub(super) restart: usize,
}

/// One component of the frame.
pub(super) struct Component {
    id: u8,
    /// Blocks in an MCU, across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    table: usize,
    /// In natural order; set by the first scan of the component.
    pub(super) quantisation: Option<[u16; 64]>,
}

pub(super) struct Frame {
    pub(super) size: Size,
    pub(super) progressive: bool,
    pub(super) components: Vec<Component>,
    /// The most blocks any component has in an MCU, across and down.
    pub(super) most: (usize, usize),
    /// MCUs across and down.
    pub(super) mcus: (usize, usize),
}

/// One component of a scan.
pub(super) struct ScanComponent {
    /// Its place in the frame.
    pub(super) index: usize,
    pub(super) dc_table: usize,
    pub(super) ac_table: usize,
}

pub(super) struct Scan {
    pub(super) components: Vec<ScanComponent>,
    pub(super) spectral: (usize, usize),
    pub(super) high: u32,
    pub(super) low: u32,
}

impl Tables {
    /// A segment of quantisation tables, 8 or 16 bits.
    pub(super) fn quantisation(&mut self, content: &[u8]) -> Option<()> {
        let mut reader = BytesReader::new(content);
        while !reader.is_at_end() {
            let kind = reader.u8()?;
            let mut table = [0; 64];
            for place in ZIGZAG.iter().take(64) {
                let value = if kind >> 4 == 0 { reader.u8()?.into() } else { reader.u16_be()? };
                *table.get_mut(usize::from(*place))? = value;
            }
            *self.quantisation.get_mut(usize::from(kind & 15))? = Some(table);
        }
        Some(())
    }

    /// A segment of Huffman tables.
    pub(super) fn huffman(&mut self, content: &[u8]) -> Option<()> {
        let mut reader = BytesReader::new(content);
        while !reader.is_at_end() {
            let kind = reader.u8()?;
            let counts: &[u8; 16] = reader.take(16)?.first_chunk()?;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let table = Table::new(counts, reader.take(total)?)?;
            let place = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *place.get_mut(usize::from(kind & 15))? = Some(table);
        }
        Some(())
    }

    pub(super) fn restart_interval(&mut self, content: &[u8]) -> Option<()> {
        self.restart = usize::from(BytesReader::new(content).u16_be()?);
        Some(())
    }
}

impl Frame {
    pub(super) fn read(content: &[u8], progressive: bool) -> Option<Self> {
        let mut reader = BytesReader::new(content);
        reader.skip(1)?;
        let (height, width, count) = (reader.u16_be()?, reader.u16_be()?, reader.u8()?);
        let mut component = || {
            let (id, sampling, table) = (reader.u8()?, reader.u8()?, reader.u8()?);
            let (across, down) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            let valid = (1..=4).contains(&across) && (1..=4).contains(&down) && table < 4;
            valid.then_some(Component { id, across, down, table: table.into(), quantisation: None })
        };
        let mut components: Vec<_> = (0..count).map(|_| component()).collect::<Option<_>>()?;
        if let [only] = components.as_mut_slice() {
            // A single component is never interleaved, whatever its factors say (A.2.2).
            (only.across, only.down) = (1, 1);
        }
        let most = (components.iter().map(|c| c.across).max()?, components.iter().map(|c| c.down).max()?);
        let size = Size::new(width.into(), height.into());
        let mcus = (usize::from(width).div_ceil(8 * most.0), usize::from(height).div_ceil(8 * most.1));
        Some(Self { size, progressive, components, most, mcus })
    }

    /// Blocks of a component across and down, without those that only fill up MCUs (A.2.4).
    pub(super) fn own_blocks(&self, component: &Component) -> (usize, usize) {
        let blocks = |length: u32, factor: usize, most: usize| (length as usize * factor).div_ceil(most).div_ceil(8);
        (blocks(self.size.width, component.across, self.most.0), blocks(self.size.height, component.down, self.most.1))
    }

    /// The identifiers of the components, in order.
    pub(super) fn ids(&self) -> Vec<u8> {
        self.components.iter().map(|component| component.id).collect()
    }

    /// Reads a scan header and gives its components the quantisation tables of this moment.
    pub(super) fn scan(&mut self, content: &[u8], tables: &Tables) -> Option<Scan> {
        let mut reader = BytesReader::new(content);
        let count = reader.u8()?;
        let mut components: Vec<ScanComponent> = Vec::with_capacity(count.into());
        for _ in 0..count {
            let (id, selectors) = (reader.u8()?, reader.u8()?);
            let index = self.components.iter().position(|component| component.id == id)?;
            if components.iter().any(|other| other.index == index) {
                return None;
            }
            let component = self.components.get_mut(index)?;
            if component.quantisation.is_none() {
                component.quantisation = *tables.quantisation.get(component.table)?;
            }
            let (dc_table, ac_table) = (usize::from(selectors >> 4), usize::from(selectors & 15));
            components.push(ScanComponent { index, dc_table, ac_table });
        }
        let (start, end, approximation) = (reader.u8()?, reader.u8()?, reader.u8()?);
        let (high, low) = (u32::from(approximation >> 4), u32::from(approximation & 15));
        let spectral = if self.progressive { (usize::from(start), usize::from(end)) } else { (0, 63) };
        let blocks: usize = components.iter().filter_map(|c| self.components.get(c.index)).map(|c| c.across * c.down).sum();
        let ordered = spectral.0 <= spectral.1 && spectral.1 < 64 && low < 14 && (high == 0 || high == low + 1);
        let dc_apart = !self.progressive || (spectral.0 == 0) == (spectral.1 == 0);
        let ac_alone = !self.progressive || spectral.0 == 0 || components.len() == 1;
        let valid = !components.is_empty() && ordered && dc_apart && ac_alone && (components.len() == 1 || blocks <= 10);
        let (high, low) = if self.progressive { (high, low) } else { (0, 0) };
        valid.then_some(Scan { components, spectral, high, low })
    }
}
