//! Images on their way into an engine, and how their bytes become numbers.

use breakwater_convnet::{Picture, Scaling};

use crate::array::Array;
use crate::engine::EngineError;
use crate::frame::Frame;
use crate::graph::shape::Shape;

/// How bytes of a pixel become numbers.
#[derive(Debug, Clone)]
pub struct Normalisation {
    scaling: Scaling,
    /// The number of every byte, for each channel in the network's order.
    tables: [Vec<f32>; 3],
}

impl Normalisation {
    /// As `scaling` says.
    #[must_use]
    pub fn new(scaling: Scaling) -> Self {
        let [first, second, third] = scaling.mean;
        let [first_deviation, second_deviation, third_deviation] = scaling.deviation;
        let table = |(mean, deviation): (f32, f32)| (0..=u8::MAX).map(|byte| (f32::from(byte) - mean) / deviation).collect();
        Self { scaling, tables: [(first, first_deviation), (second, second_deviation), (third, third_deviation)].map(table) }
    }

    /// `(byte - mean) / deviation`, for a network that takes blue, green and red.
    #[must_use]
    pub fn bgr(mean: [f32; 3], deviation: [f32; 3]) -> Self {
        Self::new(Scaling { rgb: false, mean, deviation })
    }

    /// `(byte - mean) / deviation`, for a network that takes red, green and blue.
    #[must_use]
    pub fn rgb(mean: [f32; 3], deviation: [f32; 3]) -> Self {
        Self::new(Scaling { rgb: true, mean, deviation })
    }

    /// Order, means and deviations.
    #[must_use]
    pub fn scaling(&self) -> &Scaling {
        &self.scaling
    }

    /// For each channel of the network: which byte of an RGB pixel it is, and the number of every byte.
    fn channels(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let offsets = if self.scaling.rgb { [0, 1, 2] } else { [2, 1, 0] };
        offsets.into_iter().zip(self.tables.iter().map(Vec::as_slice))
    }
}

/// Images for one run, all of one shape.
#[derive(Debug, Clone)]
pub enum Batch<'a> {
    /// Numbers as the network takes them.
    Array(Array),
    /// Scaled pictures.
    Frames {
        /// The pictures.
        frames: &'a [&'a Frame],
        /// How their bytes become numbers.
        normalisation: &'a Normalisation,
    },
    /// Tokens of texts, those that begin and end them included.
    Tokens(&'a [&'a [u32]]),
}

impl From<Array> for Batch<'_> {
    fn from(array: Array) -> Self {
        Self::Array(array)
    }
}

impl Batch<'_> {
    /// How many images or texts there are.
    #[must_use]
    pub fn images(&self) -> usize {
        match self {
            Self::Array(array) => array.shape().images,
            Self::Frames { frames, .. } => frames.len(),
            Self::Tokens(texts) => texts.len(),
        }
    }

    /// The numbers of every image, plane by plane.
    ///
    /// # Errors
    /// When there is no image, the pictures' inputs differ in shape, or these are texts.
    pub fn into_array(self) -> Result<Array, EngineError> {
        match self {
            Self::Array(array) => Ok(array),
            Self::Frames { frames, normalisation } => planes(frames, normalisation),
            Self::Tokens(_) => Err(EngineError::Refused { what: "the network takes images only".to_owned() }),
        }
    }
}

fn planes(frames: &[&Frame], normalisation: &Normalisation) -> Result<Array, EngineError> {
    let shape = frames.first().map(|frame| Shape { images: frames.len(), ..frame.shape() });
    let shape = shape.ok_or_else(|| EngineError::Output { what: "a batch without images".to_owned() })?;
    let elements = shape.elements().ok_or_else(|| EngineError::Output { what: format!("a batch of {:?}", shape.dims()) })?;
    let plane = shape.height * shape.width;
    let mut values = vec![0.0; elements];
    for (frame, target) in frames.iter().zip(values.chunks_exact_mut(3 * plane)) {
        if (Shape { images: frames.len(), ..frame.shape() }) != shape {
            return Err(EngineError::Output { what: "images of different shapes in one batch".to_owned() });
        }
        write(frame, target, plane, normalisation);
    }
    Ok(Array::new(shape, values)?)
}

/// Writes the three planes of one image.
fn write(frame: &Frame, target: &mut [f32], plane: usize, normalisation: &Normalisation) {
    let (columns, left, top) = (frame.input.width as usize, frame.left as usize, frame.top as usize);
    let bytes_per_row = frame.content.size.width as usize * 3;
    if bytes_per_row == 0 {
        return;
    }
    for (channel, (offset, table)) in target.chunks_exact_mut(plane).zip(normalisation.channels()) {
        channel.fill(table.first().copied().unwrap_or(0.0));
        let rows = channel.chunks_exact_mut(columns).skip(top);
        for (row, bytes) in rows.zip(frame.content.pixels.chunks_exact(bytes_per_row)) {
            let pixels = bytes.iter().skip(offset).step_by(3);
            for (value, byte) in row.iter_mut().skip(left).zip(pixels) {
                *value = table.get(usize::from(*byte)).copied().unwrap_or(0.0);
            }
        }
    }
}

/// A frame as the engine for the processor reads it.
pub(crate) fn picture<'a>(frame: &'a Frame, normalisation: &'a Normalisation) -> Picture<'a> {
    Picture {
        pixels: &frame.content.pixels,
        columns: frame.content.size.width as usize,
        rows: frame.content.size.height as usize,
        left: frame.left as usize,
        top: frame.top as usize,
        width: frame.input.width as usize,
        height: frame.input.height as usize,
        scaling: normalisation.scaling(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_core::Size;
    use breakwater_vision::RgbImage;

    fn array(frames: &[&Frame], normalisation: &Normalisation) -> Result<Array, EngineError> {
        Batch::Frames { frames, normalisation }.into_array()
    }

    #[test]
    fn planes_are_in_the_networks_order_with_black_around() {
        let content = RgbImage { size: Size::new(2, 1), pixels: vec![10, 20, 30, 40, 50, 60] };
        let frame = Frame { content, left: 1, top: 1, input: Size::new(4, 2) };
        let plane = |mean: f32, a: f32, b: f32| [0.0, 0.0, 0.0, 0.0, 0.0, a, b, 0.0].map(|byte| (byte - mean) / 2.0);
        let bgr = [plane(1.0, 30.0, 60.0), plane(2.0, 20.0, 50.0), plane(3.0, 10.0, 40.0)].concat();
        let rgb = [plane(1.0, 10.0, 40.0), plane(2.0, 20.0, 50.0), plane(3.0, 30.0, 60.0)].concat();
        for (normalisation, expected) in [(Normalisation::bgr as fn([f32; 3], [f32; 3]) -> _, bgr), (Normalisation::rgb, rgb)] {
            let batch = array(&[&frame, &frame], &normalisation([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])).unwrap();
            assert_eq!(batch.shape(), Shape::new(2, 3, 2, 4));
            assert_eq!(batch.values(), [expected.clone(), expected].concat());
        }
    }

    #[test]
    fn frames_of_different_shapes_are_no_batch() {
        let frame =
            |edge| Frame { content: RgbImage { size: Size::new(1, 1), pixels: vec![0; 3] }, left: 0, top: 0, input: Size::new(edge, edge) };
        let normalisation = Normalisation::bgr([0.0; 3], [1.0; 3]);
        assert!(array(&[&frame(4), &frame(8)], &normalisation).is_err());
        assert!(array(&[], &normalisation).is_err());
    }
}
