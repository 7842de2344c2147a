//! The networks that are measured, with their weights and an input.

use std::path::Path;
use std::str::FromStr;

use breakwater_convnet::array::Array;
use breakwater_convnet::graph::shape::Shape;
use breakwater_convnet::graph::weights::{Network, Weights};
use breakwater_convnet::networks::{efficientnet_lite0, nanodet};
use breakwater_inference::model::Model;

use crate::laps::Outcome;

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Faces.
    YuNet,
    /// People and objects.
    NanoDet,
    /// Embeddings.
    EfficientNetLite0,
}

impl Subject {
    /// Every network.
    pub const ALL: [Self; 3] = [Self::YuNet, Self::NanoDet, Self::EfficientNetLite0];

    /// The networks and the input sizes that are measured, as rows and columns.
    pub const CASES: [(Self, usize, usize); 4] =
        [(Self::YuNet, 448, 640), (Self::YuNet, 224, 320), (Self::NanoDet, 416, 416), (Self::EfficientNetLite0, 224, 224)];

    const fn model(self) -> Model {
        match self {
            Self::YuNet => Model::YuNet,
            Self::NanoDet => Model::NanoDet,
            Self::EfficientNetLite0 => Model::EfficientNetLite0,
        }
    }

    /// Such as `yunet`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.model().name()
    }

    /// Means and deviations of the input's channels.
    const fn scaling(self) -> [[f32; 3]; 2] {
        match self {
            Self::YuNet => [[0.0; 3], [1.0; 3]],
            Self::NanoDet => [nanodet::MEAN, nanodet::DEVIATION],
            Self::EfficientNetLite0 => [efficientnet_lite0::MEAN, efficientnet_lite0::DEVIATION],
        }
    }

    /// The network with the weights of `models/`.
    ///
    /// # Errors
    /// When they cannot be read or do not fit.
    pub fn load(self, height: usize, width: usize) -> Outcome<Network> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(self.model().file());
        Ok(Network::new(self.model().graph(), Weights::read(&std::fs::read(file)?)?, Shape::new(1, 3, height, width))?)
    }

    /// Images whose pixels, 0 to 255, look random but are always the same; `networks/compare.py` makes the same ones for the peers.
    /// Kernels are as fast on any others.
    ///
    /// # Errors
    /// When the size is nothing or too large.
    pub fn input(self, images: usize, height: usize, width: usize) -> Outcome<Array> {
        let shape = Shape::new(images, 3, height, width);
        let mut values = Vec::with_capacity(shape.elements().ok_or("a size of nothing, or too large")?);
        let [mean, deviation] = self.scaling();
        for _ in 0..images {
            for (channel, (mean, deviation)) in mean.into_iter().zip(deviation).enumerate() {
                let pixels = (channel * height * width..).take(height * width).map(pixel);
                values.extend(pixels.map(|pixel| (f32::from(pixel) - mean) / deviation));
            }
        }
        Ok(Array::new(shape, values)?)
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|subject| subject.name() == text);
        found.ok_or_else(|| format!("a network is one of {:?}; got {text:?}", Self::ALL.map(Self::name)))
    }
}

/// Knuth's multiplicative hash of the position.
fn pixel(index: usize) -> u8 {
    (((index as u64).wrapping_mul(2_654_435_761) >> 7) & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_those_that_the_peers_get() {
        assert_eq!([0, 1, 2, 1_000_000].map(pixel), [0, 243, 230, 28]);
    }

    #[test]
    fn every_network_takes_its_input() {
        for (subject, height, width) in Subject::CASES {
            let network = subject.load(height, width).unwrap();
            let input = subject.input(2, height, width).unwrap();
            assert!(network.graph().shapes(input.shape()).is_ok(), "{}", subject.name());
            assert_eq!(subject.name().parse(), Ok(subject));
        }
    }
}
