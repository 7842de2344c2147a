//! The models there are: their networks, weights, and how images go in and results come out.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use breakwater_core::{DetectionKind, Digest, Size};
use breakwater_vision::Image;
use serde::Serialize;

use crate::array::Outputs;
use crate::batch::Normalisation;
use crate::engine::EngineError;
use crate::error::InferenceError;
use crate::found::Found;
use crate::frame::{Frame, Placement};
use crate::graph::Graph;
use crate::graph::shape::Shape;
use crate::graph::weights::{Network, Weights};
use crate::worker::job::Program;
use crate::{efficientnet_lite0, nanodet, yunet};

/// A model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Model {
    /// Detects faces.
    YuNet,
    /// Detects people and objects.
    NanoDet,
    /// Gives the features of a whole image.
    EfficientNetLite0,
}

/// A model as its users see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelInfo {
    /// Such as `yunet`.
    pub name: &'static str,
    /// What it finds; nothing if it is no detector.
    pub kinds: &'static [DetectionKind],
    /// How many features it gives of an image; none if it is a detector.
    pub dimension: Option<usize>,
    /// The input it takes, for people.
    pub input: &'static str,
    /// SHA-256 of its weights file.
    pub weights: Digest,
    /// Number of its parameters.
    pub parameters: usize,
    /// Licence of the weights, as an SPDX expression.
    pub licence: &'static str,
}

/// Faces less confident than this are never reported.
const FACE_FLOOR: f32 = 0.5;
/// People and objects less confident than this are never reported.
const THING_FLOOR: f32 = 0.3;

/// The largest weights file that is read, in bytes. The largest built in has 7.6 MB.
pub const MAX_WEIGHTS_BYTES: u64 = 64 << 20;

impl Model {
    /// Every model.
    pub const ALL: [Self; 3] = [Self::YuNet, Self::NanoDet, Self::EfficientNetLite0];

    /// Those that find things.
    pub const DETECTORS: [Self; 2] = [Self::YuNet, Self::NanoDet];

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
            Self::EfficientNetLite0 => "efficientnet-lite0",
        }
    }

    /// What it finds; nothing if it is no detector.
    #[must_use]
    pub const fn kinds(self) -> &'static [DetectionKind] {
        match self {
            Self::YuNet => &[DetectionKind::Face],
            Self::NanoDet => &[DetectionKind::Person, DetectionKind::Object],
            Self::EfficientNetLite0 => &[],
        }
    }

    /// How many features it gives of an image; none if it is a detector.
    #[must_use]
    pub const fn dimension(self) -> Option<usize> {
        match self {
            Self::YuNet | Self::NanoDet => None,
            Self::EfficientNetLite0 => Some(efficientnet_lite0::FEATURES),
        }
    }

    /// Name of its weights file in `models/`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::YuNet => "yunet_n.safetensors",
            Self::NanoDet => "nanodet_g_416.f16.safetensors",
            Self::EfficientNetLite0 => "effnet_lite0.backbone.f16.safetensors",
        }
    }

    const fn built_in(self) -> &'static [u8] {
        match self {
            Self::YuNet => include_bytes!("../../../models/yunet_n.safetensors"),
            Self::NanoDet => include_bytes!("../../../models/nanodet_g_416.f16.safetensors"),
            Self::EfficientNetLite0 => include_bytes!("../../../models/effnet_lite0.backbone.f16.safetensors"),
        }
    }

    /// Bytes of its weights' file; 0 when it is not there.
    pub(crate) fn bytes(self, folder: Option<&Path>) -> u64 {
        let file = |folder: &Path| std::fs::metadata(folder.join(self.file())).map_or(0, |metadata| metadata.len());
        folder.map_or(self.built_in().len() as u64, file)
    }

    /// Its layers.
    #[must_use]
    pub fn graph(self) -> Graph {
        match self {
            Self::YuNet => yunet::graph(),
            Self::NanoDet => nanodet::graph(),
            Self::EfficientNetLite0 => efficientnet_lite0::graph(),
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

    /// The model with these weights, for people.
    #[must_use]
    pub fn info(self, network: &Network) -> ModelInfo {
        let (input, licence) = match self {
            Self::YuNet => ("BGR, long side at most 640, multiples of 32", "BSD-3-Clause"),
            Self::NanoDet => ("BGR, 416x416 letterboxed", "Apache-2.0"),
            Self::EfficientNetLite0 => ("RGB, short side 256, 224x224 of its centre", "Apache-2.0"),
        };
        let (name, kinds, dimension) = (self.name(), self.kinds(), self.dimension());
        let weights = network.weights();
        ModelInfo { name, kinds, dimension, input, weights: weights.digest(), parameters: weights.parameters(), licence }
    }

    /// Where that which the network sees of an image goes in its input.
    #[must_use]
    pub fn place(self, image: Size) -> Placement {
        match self {
            Self::YuNet => Placement::at_own_size(image, yunet::MAX_EDGE, yunet::STRIDE),
            Self::NanoDet => Placement::letterbox(image, nanodet::EDGE),
            Self::EfficientNetLite0 => {
                let input = efficientnet_lite0::INPUT;
                Placement { content: input, left: 0, top: 0, input }
            }
        }
    }

    /// The image as the network sees it.
    #[must_use]
    pub fn frame(self, image: &Image) -> Frame {
        let Placement { content, left, top, input } = self.place(image.size());
        let content = match self {
            Self::YuNet | Self::NanoDet => image.resized_rgb(content),
            Self::EfficientNetLite0 => efficientnet_lite0::centre(image),
        };
        Frame { content, left, top, input }
    }

    /// How its input is normalised.
    #[must_use]
    pub fn normalisation(self) -> Normalisation {
        match self {
            Self::YuNet => Normalisation::bgr([0.0; 3], [1.0; 3]),
            Self::NanoDet => Normalisation::bgr(nanodet::MEAN, nanodet::DEVIATION),
            Self::EfficientNetLite0 => Normalisation::rgb(efficientnet_lite0::MEAN, efficientnet_lite0::DEVIATION),
        }
    }

    /// What sessions compute for it.
    pub(crate) fn program(self, network: Network) -> Program {
        Program::Network(network, Arc::new(self.normalisation()))
    }

    /// What the outputs of a batch say about one image of it, in pixels of that image, whose size was `original`.
    ///
    /// # Errors
    /// When the outputs are not those of this network, or it is no detector.
    pub(crate) fn read(self, outputs: &Outputs, image: usize, original: Size) -> Result<Found, EngineError> {
        let detections = match self {
            Self::YuNet => yunet::decode::faces(outputs, image, FACE_FLOOR)?,
            Self::NanoDet => nanodet::decode::things(outputs, image, THING_FLOOR)?,
            Self::EfficientNetLite0 => return Err(EngineError::Output { what: "features are no detections".to_owned() }),
        };
        let mapping = self.place(original).mapping(original);
        let detections = detections.into_iter().filter_map(|detection| mapping.detection(detection)).collect();
        Ok(Found::by_kind(self, detections))
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
        for (model, parameters) in [(Model::YuNet, 54_608), (Model::NanoDet, 3_784_000), (Model::EfficientNetLite0, 3_345_000)] {
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
        assert!(Model::EfficientNetLite0.graph().output(efficientnet_lite0::OUTPUT).is_ok());
    }

    #[test]
    fn weights_of_another_network_are_refused() {
        let folder = std::env::temp_dir().join(format!("breakwater-swapped-weights-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(Model::YuNet.file()), Model::NanoDet.built_in()).unwrap();
        let error = Model::YuNet.load(Some(&folder)).unwrap_err();
        assert!(matches!(error, InferenceError::Weights { model: "yunet", source: WeightsError::Missing { .. } }), "{error:?}");
        for missing in [Model::NanoDet, Model::EfficientNetLite0] {
            assert!(matches!(missing.load(Some(&folder)), Err(InferenceError::Read { .. })));
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
