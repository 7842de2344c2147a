//! What goes into a network.

use crate::array::Array;

/// A batch of images.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Planes of numbers: images outermost, then channels, rows and columns.
    Planes(&'a Array),
    /// Pictures as decoders give them; they become numbers row by row while the first layer runs. The network must take three
    /// channels, and all pictures must have one `height` and `width`.
    Pictures(&'a [Picture<'a>]),
}

/// A picture of 8-bit RGB and where it lies in the network's input; the rest of the input is black.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Red, green and blue of each pixel, row by row.
    pub pixels: &'a [u8],
    /// Columns of the picture.
    pub columns: usize,
    /// Rows of the picture.
    pub rows: usize,
    /// Columns of black left of it.
    pub left: usize,
    /// Rows of black above it.
    pub top: usize,
    /// Columns of the network's input.
    pub width: usize,
    /// Rows of the network's input.
    pub height: usize,
    /// How bytes become numbers.
    pub scaling: &'a Scaling,
}

/// `(byte - mean) / deviation`, for each channel in the network's order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Whether the network takes red, green, blue; blue, green, red otherwise.
    pub rgb: bool,
    /// Means of the network's three channels.
    pub mean: [f32; 3],
    /// Standard deviations of the network's three channels.
    pub deviation: [f32; 3],
}
