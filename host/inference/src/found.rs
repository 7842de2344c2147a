//! What models found, remembered by the content of the image.

use std::sync::Arc;

use breakwater_core::{Detection, DetectionKind, Digest, Point};
use breakwater_vision::ContentDigest;
use moka::sync::Cache;

use crate::embedding::Embedding;
use crate::model::Model;

/// What was looked at, by which model.
pub(crate) type Key = (Subject, By);

/// What models look at, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Image(ContentDigest),
    /// Digest of the text's tokens.
    Text(Digest),
}

/// A model whose answers do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum By {
    Detector(Model),
    /// By its revision.
    Embedder(Digest),
}

/// Everything one inference found. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// By kind.
    Detections(Arc<[(DetectionKind, Arc<[Detection]>)]>),
    /// The features of the whole image.
    Embedding(Arc<Embedding>),
}

impl Found {
    /// Sorts what a model found by kind; within a kind the order stays.
    pub(crate) fn by_kind(model: Model, detections: Vec<Detection>) -> Self {
        let of = |kind: DetectionKind| detections.iter().filter(|detection| detection.kind == kind).cloned().collect::<Arc<[_]>>();
        Self::Detections(model.kinds().iter().map(|kind| (*kind, of(*kind))).collect())
    }

    /// What was found of a kind.
    pub(crate) fn of(&self, kind: DetectionKind) -> Arc<[Detection]> {
        let Self::Detections(by_kind) = self else { return Arc::from([]) };
        let found = by_kind.iter().find(|(known, _)| *known == kind);
        found.map_or_else(|| Arc::from([]), |(_, detections)| Arc::clone(detections))
    }

    /// The features, if the model gives them.
    pub(crate) fn embedding(&self) -> Option<Arc<Embedding>> {
        match self {
            Self::Embedding(embedding) => Some(Arc::clone(embedding)),
            Self::Detections(_) => None,
        }
    }

    /// Bytes it takes in memory, with the cache's own share.
    fn bytes(&self) -> usize {
        const ENTRY: usize = 256;
        let detection =
            |detection: &Detection| size_of::<Detection>() + detection.label.len() + detection.landmarks.len() * size_of::<Point>();
        ENTRY
            + match self {
                Self::Detections(by_kind) => by_kind.iter().flat_map(|(_, detections)| detections.iter()).map(detection).sum::<usize>(),
                Self::Embedding(embedding) => size_of::<Embedding>() + size_of_val(embedding.values()),
            }
    }
}

/// What is remembered, bounded in bytes; the least recently and least often used go first.
pub(crate) struct FoundCache(Cache<Key, Found>);

impl FoundCache {
    pub(crate) fn new(bytes: u64) -> Self {
        let weigh = |_: &Key, found: &Found| u32::try_from(found.bytes()).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(bytes).weigher(weigh).build())
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Found> {
        self.0.get(key)
    }

    pub(crate) fn insert(&self, key: Key, found: Found) {
        self.0.insert(key, found);
    }

    /// Entries and bytes, as of the last maintenance.
    pub(crate) fn size(&self) -> (u64, u64) {
        self.0.run_pending_tasks();
        (self.0.entry_count(), self.0.weighted_size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_core::Bounds;

    fn detection(kind: DetectionKind, confidence: f32) -> Detection {
        let bounds = Bounds { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };
        Detection { kind, label: "cat".into(), confidence, bounds, landmarks: vec![] }
    }

    #[test]
    fn one_inference_serves_people_and_objects() {
        use DetectionKind::{Face, Object, Person};
        let found = Found::by_kind(Model::NanoDet, vec![detection(Person, 0.9), detection(Object, 0.8), detection(Person, 0.7)]);
        let confidences = |kind| found.of(kind).iter().map(|detection| detection.confidence).collect::<Vec<_>>();
        assert_eq!((confidences(Person), confidences(Object), confidences(Face)), (vec![0.9, 0.7], vec![0.8], vec![]));
    }

    #[test]
    fn every_detection_counts_towards_the_size() {
        let empty = Found::by_kind(Model::YuNet, vec![]).bytes();
        let full = Found::by_kind(Model::YuNet, vec![detection(DetectionKind::Face, 0.9); 10]).bytes();
        assert_eq!(full - empty, 10 * (size_of::<Detection>() + 3));
    }
}
