//! What goes into a network.

use crate::array::Array;
use crate::error::ConvnetError;
use crate::graph::shape::Shape;
use crate::kernel::pixels::PixelScaling;
use crate::run::Source;

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

impl<'a> Input<'a> {
    /// The shape of the batch, once it is known that a run can read it.
    pub(crate) fn check(&self) -> Result<Shape, ConvnetError> {
        match self {
            Self::Planes(array) => {
                const LINE: usize = 4096;
                let values = array.values();
                // Folding a whole line lets the compiler look at many values at a time.
                let line = values.chunks(LINE).position(|line| line.iter().fold(false, |bad, value| bad | !value.is_finite()));
                let index = line.and_then(|line| {
                    let within = values.iter().skip(line * LINE).position(|value| !value.is_finite())?;
                    Some(line * LINE + within)
                });
                index.map_or(Ok(array.shape()), |index| Err(ConvnetError::NotFinite { index }))
            }
            Self::Pictures(pictures) => {
                let Some(first) = pictures.first() else {
                    return Err(ConvnetError::Picture { index: 0, what: "a batch without pictures".to_owned() });
                };
                for (index, picture) in pictures.iter().enumerate() {
                    picture.check(first).map_err(|what| ConvnetError::Picture { index, what })?;
                }
                Ok(Shape::new(pictures.len(), 3, first.height, first.width))
            }
        }
    }

    /// How the bytes of an image of the batch become numbers, if it has bytes.
    pub(crate) fn scaling(&self, index: usize) -> Option<PixelScaling> {
        match self {
            Self::Planes(_) => None,
            Self::Pictures(pictures) => pictures.get(index).map(|picture| PixelScaling::new(picture.scaling)),
        }
    }

    /// An image of the batch; `scaling` is its own.
    pub(crate) fn image<'b>(&self, index: usize, shape: Shape, scaling: Option<&'b PixelScaling>) -> Option<Source<'b>>
    where
        'a: 'b,
    {
        match self {
            Self::Planes(array) => {
                let plane = shape.height * shape.width;
                let values = array.values().chunks_exact(shape.channels * plane).nth(index)?;
                Some(Source::Planes { values, plane })
            }
            Self::Pictures(pictures) => Some(Source::Picture { picture: pictures.get(index)?, scaling: scaling? }),
        }
    }
}

impl Picture<'_> {
    fn check(&self, first: &Picture<'_>) -> Result<(), String> {
        let Picture { pixels, columns, rows, left, top, width, height, scaling } = self;
        if (*width, *height) != (first.width, first.height) {
            return Err(format!("its input is {width}x{height}, that of the first {}x{}", first.width, first.height));
        }
        let bytes = columns.checked_mul(*rows).and_then(|pixels| pixels.checked_mul(3));
        if bytes != Some(pixels.len()) {
            return Err(format!("{} bytes for {columns}x{rows} pixels of three", pixels.len()));
        }
        let inside = |start: &usize, length: &usize, all: &usize| start.checked_add(*length).is_some_and(|end| end <= *all);
        if !inside(left, columns, width) || !inside(top, rows, height) {
            return Err(format!("{columns}x{rows} pixels at column {left} and row {top} do not lie in {width}x{height}"));
        }
        let ends = |(mean, deviation): (&f32, &f32)| [(0.0 - mean) / deviation, (255.0 - mean) / deviation];
        if !scaling.mean.iter().zip(&scaling.deviation).flat_map(ends).all(f32::is_finite) {
            return Err(format!("{scaling:?} makes no finite numbers"));
        }
        Ok(())
    }
}
