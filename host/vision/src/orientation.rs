//! Turning stored pixels upright: the eight orientations of EXIF (CIPA DC-008, tag 0x0112).

use breakwater_core::{Rect, Size};

use crate::raster::Raster;

/// How stored pixels must be moved to be upright. The number is that of EXIF, 1..=8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Orientation(u8);

impl Orientation {
    pub(crate) const UPRIGHT: Self = Self(1);

    /// Values that EXIF does not define count as upright, as every viewer does it.
    pub(crate) fn from_exif(value: u16) -> Self {
        u8::try_from(value).ok().filter(|value| (1..=8).contains(value)).map_or(Self::UPRIGHT, Self)
    }

    /// From the transformations of HEIF (ISO/IEC 23008-12): turns of 90 degrees against the clock, then a mirror whose axis is
    /// 0 when top and bottom change places and 1 when left and right do.
    pub(crate) fn from_heif(quarter_turns: u8, mirror_axis: Option<u8>) -> Self {
        Self(match (quarter_turns & 3, mirror_axis.map(|axis| axis & 1)) {
            (0, None) => 1,
            (0, Some(0)) => 4,
            (0, Some(_)) => 2,
            (1, None) => 8,
            (1, Some(0)) => 5,
            (1, Some(_)) => 7,
            (2, None) => 3,
            (2, Some(0)) => 2,
            (2, Some(_)) => 4,
            (_, None) => 6,
            (_, Some(0)) => 7,
            (_, Some(_)) => 5,
        })
    }

    pub(crate) fn exif(self) -> u8 {
        self.0
    }

    /// Whether rows become columns.
    pub(crate) fn swaps_edges(self) -> bool {
        self.0 >= 5
    }

    /// Where a point of the stored picture lies once it is upright; both edges count as one.
    pub(crate) fn upright(self, across: f64, down: f64) -> (f64, f64) {
        match self.0 {
            2 => (1.0 - across, down),
            3 => (1.0 - across, 1.0 - down),
            4 => (across, 1.0 - down),
            5 => (down, across),
            6 => (1.0 - down, across),
            7 => (1.0 - down, 1.0 - across),
            8 => (down, 1.0 - across),
            _ => (across, down),
        }
    }

    /// What undoes it.
    pub(crate) fn inverse(self) -> Self {
        Self(match self.0 {
            6 => 8,
            8 => 6,
            other => other,
        })
    }

    /// The size of stored pixels once they are upright, and the other way round.
    pub(crate) fn turned(self, size: Size) -> Size {
        if self.swaps_edges() { Size::new(size.height, size.width) } else { size }
    }

    /// Where an upright rectangle lies in the stored pixels, whose size is `stored`. It must lie inside.
    pub(crate) fn stored_rect(self, upright: Rect, stored: Size) -> Rect {
        let Rect { x, y, width, height } = upright;
        let from_right = |start: u32, length: u32| stored.width.saturating_sub(start.saturating_add(length));
        let from_bottom = |start: u32, length: u32| stored.height.saturating_sub(start.saturating_add(length));
        match self.0 {
            2 => Rect::new(from_right(x, width), y, width, height),
            3 => Rect::new(from_right(x, width), from_bottom(y, height), width, height),
            4 => Rect::new(x, from_bottom(y, height), width, height),
            5 => Rect::new(y, x, height, width),
            6 => Rect::new(y, from_bottom(x, width), height, width),
            7 => Rect::new(from_right(y, height), from_bottom(x, width), height, width),
            8 => Rect::new(from_right(y, height), x, height, width),
            _ => upright,
        }
    }

    /// Moves the pixels upright. Mirrors and half turns happen in place.
    pub(crate) fn apply(self, mut raster: Raster) -> Raster {
        let width = raster.size().width as usize;
        match self.0 {
            2 => raster.pixels_mut().as_chunks_mut::<4>().0.chunks_exact_mut(width).for_each(<[_]>::reverse),
            3 => raster.pixels_mut().as_chunks_mut::<4>().0.reverse(),
            4 => swap_rows(raster.pixels_mut(), width * Raster::CHANNELS),
            5..=8 => return self.transposed(raster),
            _ => {}
        }
        raster
    }

    /// The four orientations that make rows of columns. Works on bands of target rows, so that each cache line that is read or
    /// written is used whole.
    fn transposed(self, raster: Raster) -> Raster {
        const BAND: usize = 16;
        let size = self.turned(raster.size());
        let (stored_width, stored_height) = (raster.size().width as usize, raster.size().height as usize);
        let (columns_reversed, rows_reversed) = (self.0 >= 7, self.0 == 6 || self.0 == 7);
        let source = raster.pixels().as_chunks::<4>().0;
        let mut pixels = vec![0u8; source.len() * Raster::CHANNELS];
        let target = pixels.as_chunks_mut::<4>().0;
        for (index, band) in target.chunks_mut(stored_height * BAND).enumerate() {
            let rows = band.len() / stored_height;
            let first = index * BAND;
            let column = if columns_reversed { stored_width - first - rows } else { first };
            for x in 0..stored_height {
                let row = if rows_reversed { stored_height - 1 - x } else { x };
                let start = row * stored_width + column;
                let Some(piece) = source.get(start..start + rows) else { continue };
                for (offset, pixel) in piece.iter().enumerate() {
                    let y = if columns_reversed { rows - 1 - offset } else { offset };
                    if let Some(place) = band.get_mut(y * stored_height + x) {
                        *place = *pixel;
                    }
                }
            }
        }
        Raster::new(size, raster.is_opaque(), pixels).unwrap_or(raster)
    }
}

fn swap_rows(pixels: &mut [u8], row: usize) {
    let rows = pixels.len() / row.max(1);
    let (upper, lower) = pixels.split_at_mut(rows.div_ceil(2) * row);
    let upper = upper.chunks_exact_mut(row).take(rows / 2);
    upper.zip(lower.chunks_exact_mut(row).rev()).for_each(|(above, below)| above.swap_with_slice(below));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels whose red is a letter, written row by row.
    fn raster(rows: &[&str]) -> Raster {
        let pixels = rows.iter().flat_map(|row| row.bytes()).flat_map(|letter| [letter, 0, 0, 255]).collect();
        Raster::new(Size::new(rows[0].len() as u32, rows.len() as u32), true, pixels).unwrap()
    }

    fn letters(raster: &Raster) -> Vec<String> {
        let red: Vec<u8> = raster.pixels().iter().copied().step_by(4).collect();
        red.chunks(raster.size().width as usize).map(|row| String::from_utf8(row.to_vec()).unwrap()).collect()
    }

    #[test]
    fn points_go_where_pixels_go() {
        let stored = ["abc", "def"];
        for orientation in (1..=8).map(Orientation::from_exif) {
            let upright = letters(&orientation.apply(raster(&stored)));
            for (y, row) in stored.iter().enumerate() {
                for (x, letter) in row.chars().enumerate() {
                    let (u, v) = orientation.upright((x as f64 + 0.5) / 3.0, (y as f64 + 0.5) / 2.0);
                    let (column, line) = ((u * upright[0].len() as f64) as usize, (v * upright.len() as f64) as usize);
                    assert_eq!(upright[line].as_bytes()[column], letter as u8, "{orientation:?}");
                }
            }
        }
    }

    #[test]
    fn each_of_the_eight_orientations_moves_letters_to_their_places() {
        let stored = ["abc", "def"];
        for (orientation, upright) in [
            (1, vec!["abc", "def"]),
            (2, vec!["cba", "fed"]),
            (3, vec!["fed", "cba"]),
            (4, vec!["def", "abc"]),
            (5, vec!["ad", "be", "cf"]),
            (6, vec!["da", "eb", "fc"]),
            (7, vec!["fc", "eb", "da"]),
            (8, vec!["cf", "be", "ad"]),
        ] {
            let turned = Orientation::from_exif(orientation).apply(raster(&stored));
            assert_eq!(letters(&turned), upright, "orientation {orientation}");
        }
    }

    #[test]
    fn a_rectangle_is_found_again_in_the_stored_pixels() {
        let size = Size::new(37, 21);
        let pixels = (0..size.pixels()).flat_map(|index| [index as u8, (index >> 8) as u8, 0, 255]).collect();
        let stored = Raster::new(size, true, pixels).unwrap();
        let cut = |raster: &Raster, area: Rect| {
            let pixel = |x, y| raster.pixels()[((y * raster.size().width + x) * 4) as usize..][..4].to_vec();
            let rows = area.y..area.y + area.height;
            let pixels = rows.flat_map(|y| (area.x..area.x + area.width).flat_map(move |x| pixel(x, y))).collect();
            Raster::new(area.size(), true, pixels).unwrap()
        };
        for value in 1..=8 {
            let orientation = Orientation::from_exif(value);
            let upright = orientation.apply(stored.clone());
            let area = Rect::new(3, 5, 11, 7);
            let found = orientation.apply(cut(&stored, orientation.stored_rect(area, size)));
            assert!(found == cut(&upright, area), "orientation {value}");
            let back = orientation.inverse().stored_rect(orientation.stored_rect(area, size), upright.size());
            assert_eq!(back, area, "orientation {value}");
        }
    }

    #[test]
    fn heif_turns_then_mirrors() {
        for (turns, axis, exif) in
            [(0, None, 1), (1, None, 8), (2, None, 3), (3, None, 6), (1, Some(1), 7), (3, Some(1), 5), (0, Some(0), 4)]
        {
            assert_eq!(Orientation::from_heif(turns, axis).exif(), exif);
        }
    }

    #[test]
    fn numbers_outside_the_table_count_as_upright() {
        for value in [0, 9, 256, u16::MAX] {
            assert_eq!(Orientation::from_exif(value), Orientation::UPRIGHT);
        }
    }
}
