//! The detectors there are: their networks, weights, and how images go in and detections come out.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use breakwater_core::{Detection, DetectionKind, Digest, Size};
use serde::Serialize;

use crate::array::Outputs;
use crate::batch::Normalisation;
use crate::engine::EngineError;
use crate::error::InferenceError;
use crate::frame::Placement;
use crate::graph::Graph;
use crate::graph::shape::Shape;
use crate::graph::weights::{Network, Weights};
use crate::{nanodet, yunet};

/// A detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Model {
    /// Faces.
    YuNet,
    /// People and objects.
    NanoDet,
}

/// A detector as its users see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelInfo {
    /// Such as `yunet`.
    pub name: &'static str,
    /// What it finds.
    pub kinds: &'static [DetectionKind],
    /// The input it takes, for people.
    pub input: &'static str,
    /// SHA-256 of its weights file.
    pub weights: Digest,
    /// Number of its parameters.
    pub parameters: usize,
    /// Licence of the weights, as an SPDX expression.
    pub licence: &'static str,
}

/// The largest weights file that is read, in bytes. The largest built in has 7.6 MB.
pub const MAX_WEIGHTS_BYTES: u64 = 64 << 20;

impl Model {
    /// Every detector.
    pub const ALL: [Self; 2] = [Self::YuNet, Self::NanoDet];

    /// The detector that finds a kind.
    #[must_use]
    pub const fn of(kind: DetectionKind) -> Self {
        match kind {
            DetectionKind::Face => Self::YuNet,
            DetectionKind::Person | DetectionKind::Object => Self::NanoDet,
        }
    }

    /// Such as `yunet`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::YuNet => "yunet",
            Self::NanoDet => "nanodet",
        }
    }

    /// What it finds.
    #[must_use]
    pub const fn kinds(self) -> &'static [DetectionKind] {
        match self {
            Self::YuNet => &[DetectionKind::Face],
            Self::NanoDet => &[DetectionKind::Person, DetectionKind::Object],
        }
    }

    /// Detections less confident than this are never reported.
    #[must_use]
    pub const fn floor(self) -> f32 {
        match self {
            Self::YuNet => 0.5,
            Self::NanoDet => 0.3,
        }
    }

    /// Name of its weights file in `models/`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::YuNet => "yunet_n.safetensors",
            Self::NanoDet => "nanodet_g_416.f16.safetensors",
        }
    }

    const fn built_in(self) -> &'static [u8] {
        match self {
            Self::YuNet => include_bytes!("../../../models/yunet_n.safetensors"),
            Self::NanoDet => include_bytes!("../../../models/nanodet_g_416.f16.safetensors"),
        }
    }

    /// Its layers.
    #[must_use]
    pub fn graph(self) -> Graph {
        match self {
            Self::YuNet => yunet::graph(),
            Self::NanoDet => nanodet::graph(),
        }
    }

    /// Its network with the weights built in, or those of a folder.
    ///
    /// # Errors
    /// When the file cannot be read or does not fit the network.
    pub fn load(self, folder: Option<&Path>) -> Result<Network, InferenceError> {
        let weights = match folder {
            Some(folder) => Weights::read(&read_bounded(&folder.join(self.file()))?),
            None => Weights::read(self.built_in()),
        };
        let size = self.place(Size::new(nanodet::EDGE, nanodet::EDGE)).input;
        let input = Shape::new(1, 3, size.height as usize, size.width as usize);
        let network = weights.and_then(|weights| Network::new(self.graph(), weights, input));
        network.map_err(|source| InferenceError::Weights { model: self.name(), source })
    }

    /// The detector with these weights, for people.
    #[must_use]
    pub fn info(self, network: &Network) -> ModelInfo {
        let (input, licence) = match self {
            Self::YuNet => ("BGR, long side at most 640, multiples of 32", "BSD-3-Clause"),
            Self::NanoDet => ("BGR, 416x416 letterboxed", "Apache-2.0"),
        };
        let weights = network.weights();
        ModelInfo { name: self.name(), kinds: self.kinds(), input, weights: weights.digest(), parameters: weights.parameters(), licence }
    }

    /// Where an image goes in the network's input.
    #[must_use]
    pub fn place(self, image: Size) -> Placement {
        match self {
            Self::YuNet => Placement::at_own_size(image, yunet::MAX_EDGE, yunet::STRIDE),
            Self::NanoDet => Placement::letterbox(image, nanodet::EDGE),
        }
    }

    /// How its input is normalised.
    #[must_use]
    pub fn normalisation(self) -> Normalisation {
        match self {
            Self::YuNet => Normalisation::bgr([0.0; 3], [1.0; 3]),
            Self::NanoDet => Normalisation::bgr(nanodet::MEAN, nanodet::DEVIATION),
        }
    }

    /// The detections of one image of a batch, in pixels of the network's input, most confident first.
    ///
    /// # Errors
    /// When the outputs are not those of this network.
    pub fn decode(self, outputs: &Outputs, image: usize) -> Result<Vec<Detection>, EngineError> {
        match self {
            Self::YuNet => yunet::decode::faces(outputs, image, self.floor()),
            Self::NanoDet => nanodet::decode::things(outputs, image, self.floor()),
        }
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, InferenceError> {
    let failed = |source| InferenceError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_WEIGHTS_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_WEIGHTS_BYTES {
        return Err(InferenceError::TooLarge { path: path.to_owned(), limit: MAX_WEIGHTS_BYTES });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::weights::WeightsError;

    #[test]
    fn every_built_in_model_fits_its_network() {
        for (model, parameters) in [(Model::YuNet, 54_608), (Model::NanoDet, 3_784_000)] {
            let info = model.info(&model.load(None).unwrap());
            assert!(info.parameters.abs_diff(parameters) * 20 < parameters, "{} has {} parameters", info.name, info.parameters);
        }
    }

    #[test]
    fn every_output_that_decoding_reads_is_an_output_of_the_graph() {
        for stride in yunet::STRIDES {
            for head in ["cls", "obj", "bbox", "kps"] {
                assert!(Model::YuNet.graph().output(&format!("{head}_{stride}")).is_ok());
            }
        }
        for stride in nanodet::STRIDES {
            for head in ["cls", "reg"] {
                assert!(Model::NanoDet.graph().output(&format!("{head}_{stride}")).is_ok());
            }
        }
    }

    #[test]
    fn weights_of_another_network_are_refused() {
        let folder = std::env::temp_dir().join(format!("breakwater-swapped-weights-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(Model::YuNet.file()), Model::NanoDet.built_in()).unwrap();
        let error = Model::YuNet.load(Some(&folder)).unwrap_err();
        assert!(matches!(error, InferenceError::Weights { model: "yunet", source: WeightsError::Missing { .. } }), "{error:?}");
        assert!(matches!(Model::NanoDet.load(Some(&folder)), Err(InferenceError::Read { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
