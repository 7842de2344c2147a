//! Tensors in, tensors out.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::{Deadline, Failure};
use breakwater_inference::array::Array;
use breakwater_inference::engine::Engine;
use breakwater_inference::engine::convnet::ConvnetEngine;
use breakwater_inference::graph::shape::Shape;
use breakwater_inference::model::Model;
use breakwater_inference::tensor::{MAX_ITEMS, MAX_TENSOR_BYTES};
use breakwater_inference::{DataType, Inference, Isa, Priority, Tensor, TensorData};
use bytes::Bytes;

use crate::clip::{Reference, cosine, folder};
use crate::models::{settled, source, start, write_random};
use crate::pictures::{cut, shipped};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}

async fn infer(inference: &Inference, model: &str, name: &str, shape: &[usize], data: TensorData) -> Result<Vec<Tensor>, Failure> {
    inference.infer(model, vec![Tensor::new(name, shape.to_vec(), data).unwrap()], soon()).await
}

fn numbers(tensor: &Tensor) -> &[f32] {
    match tensor.data() {
        TensorData::Fp32(values) => values,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_detector_gives_what_its_network_gives() {
    let inference = start(vec![]);
    let shape = Shape::new(2, 3, 64, 96);
    let values: Vec<f32> = (0..shape.elements().unwrap()).map(|index| (index * 37 % 251) as f32).collect();
    let mut session = ConvnetEngine::new(Isa::best(), None, 1).prepare(&Model::YuNet.load(None).unwrap()).unwrap();
    let expected = session.run(Array::new(shape, values.clone()).unwrap().into()).unwrap();
    let found = infer(&inference, "yunet", "input", &shape.dims(), TensorData::Fp32(values)).await.unwrap();
    let metadata = inference.metadata("yunet").unwrap();
    assert_eq!(found.len(), 12);
    for ((tensor, (name, array)), spec) in found.iter().zip(expected.iter()).zip(&metadata.outputs) {
        assert_eq!((tensor.name(), tensor.shape(), spec.name.as_str()), (name, array.shape().dims().as_slice(), name));
        assert!(numbers(tensor).iter().zip(array.values()).all(|(a, b)| (a - b).abs() < 1e-5));
        assert_eq!((spec.shape[0], spec.shape[1]), (-1, tensor.shape()[1] as i64));
    }
    let metadata = inference.metadata("nanodet").unwrap();
    assert_eq!(metadata.inputs[0].shape, [-1, 3, 416, 416]);
}

#[tokio::test]
async fn an_embedder_takes_files_texts_tokens_and_numbers() {
    let files = tempfile::tempdir().unwrap();
    write_random(files.path(), 1);
    let inference = start(vec![source("clip", files.path()), source("tiny", &folder("clip-tiny"))]);
    settled(&inference).await;
    // Files.
    let photographs = [shipped("coffee"), shipped("astronaut")];
    let given = photographs.iter().map(|image| image.source().clone()).collect();
    let found = infer(&inference, "clip", "image", &[2], TensorData::Bytes(given)).await.unwrap();
    assert_eq!((found.len(), found[0].name(), found[0].shape()), (1, "embedding", [2, 16].as_slice()));
    for (row, image) in numbers(&found[0]).chunks_exact(16).zip(&photographs) {
        let embedding = inference.embed_image(Some("clip"), image, Priority::Interactive, soon()).await.unwrap();
        assert_eq!(embedding.values(), row);
    }
    // Texts.
    let given = ["a cat", "two dogs"].map(|text| Bytes::from_static(text.as_bytes())).to_vec();
    let found = infer(&inference, "clip", "text", &[2, 1], TensorData::Bytes(given)).await.unwrap();
    let dogs = inference.embed_text(Some("clip"), "two dogs", Priority::Interactive, soon()).await.unwrap();
    assert_eq!(&numbers(&found[0])[16..], dogs.values());
    // Tokens and numbers, against the reference.
    let reference = Reference::read("clip-tiny");
    let tokens = reference.tokens.iter().flatten().map(|token| i64::from(*token)).collect();
    let found = infer(&inference, "tiny", "input_ids", &[reference.tokens.len(), 77], TensorData::Int64(tokens)).await.unwrap();
    for (row, expected) in numbers(&found[0]).chunks_exact(32).zip(&reference.text_embeddings) {
        assert!(cosine(row, expected) >= 0.9999);
    }
    let halves = reference.pixels.iter().map(|value| half::f16::from_f32(*value)).collect();
    for pixels in [TensorData::Fp32(reference.pixels.clone()), TensorData::Fp16(halves)] {
        let found = infer(&inference, "tiny", "pixel_values", &[3, 3, 32, 32], pixels).await.unwrap();
        for (row, expected) in numbers(&found[0]).chunks_exact(32).zip(&reference.image_embeddings) {
            assert!(cosine(row, expected) >= 0.9999);
            assert!((cosine(row, row) - 1.0).abs() < 1e-5);
        }
    }
    let names = |model| inference.metadata(model).unwrap().inputs.into_iter().map(|spec| spec.name).collect::<Vec<_>>();
    assert_eq!(names("clip"), ["pixel_values", "image", "text", "input_ids"]);
    assert_eq!(names("tiny"), ["pixel_values", "image", "input_ids"]);
    assert_eq!(names("efficientnet-lite0"), ["pixel_values", "image"]);
}

#[tokio::test]
async fn tensors_that_a_model_does_not_take_are_refused_for_what_they_are() {
    let files = tempfile::tempdir().unwrap();
    write_random(files.path(), 1);
    let inference = Arc::new(start(vec![source("clip", files.path())]));
    settled(&inference).await;
    let zeros = |count: usize| TensorData::Fp32(vec![0.0; count]);
    let texts = |count: usize| TensorData::Bytes(vec![Bytes::from_static(b"a cat"); count]);
    let each = 3 * 32 * 32;
    let nan = TensorData::Fp32(vec![f32::NAN; each]);
    for (model, name, shape, data, code) in [
        ("nobody", "input", vec![1], zeros(1), "embedder.unknown-model"),
        ("yunet", "pixel_values", vec![1, 3, 64, 64], zeros(3 * 64 * 64), "tensor.unknown-input"),
        ("yunet", "input", vec![3, 64, 64], zeros(3 * 64 * 64), "tensor.shape"),
        ("yunet", "input", vec![1, 4, 64, 64], zeros(4 * 64 * 64), "tensor.shape"),
        ("yunet", "input", vec![1, 3, 40, 40], zeros(3 * 40 * 40), "tensor.refused"),
        ("yunet", "input", vec![1, 3, 4128, 32], zeros(3 * 4128 * 32), "tensor.shape"),
        ("yunet", "input", vec![1, 3, 64, 64], TensorData::Int64(vec![0; 3 * 64 * 64]), "tensor.type"),
        ("clip", "input", vec![1, 3, 32, 32], zeros(each), "tensor.unknown-input"),
        ("clip", "pixel_values", vec![1, 3, 33, 33], zeros(3 * 33 * 33), "tensor.refused"),
        ("clip", "pixel_values", vec![1, 3, 32, 32], nan, "tensor.refused"),
        ("clip", "pixel_values", vec![MAX_ITEMS + 1, 3, 32, 32], zeros((MAX_ITEMS + 1) * each), "tensor.shape"),
        ("clip", "text", vec![MAX_ITEMS + 1], texts(MAX_ITEMS + 1), "tensor.shape"),
        ("clip", "text", vec![1], zeros(1), "tensor.type"),
        ("clip", "text", vec![1], TensorData::Bytes(vec![Bytes::from_static(&[0xff])]), "tensor.refused"),
        ("clip", "text", vec![1], TensorData::Bytes(vec![Bytes::new()]), "embedder.empty-text"),
        ("clip", "image", vec![1], texts(1), "image.unsupported"),
        ("clip", "image", vec![1], TensorData::Bytes(vec![Bytes::new()]), "image.unsupported"),
        ("clip", "input_ids", vec![1, 2], TensorData::Int64(vec![-1, 49_407]), "tensor.refused"),
        ("clip", "input_ids", vec![1, 2], TensorData::Int64(vec![49_408, 49_407]), "tensor.refused"),
        ("clip", "input_ids", vec![2, 1], TensorData::Int64(vec![5, 49_407]), ""),
        ("efficientnet-lite0", "text", vec![1], texts(1), "tensor.unknown-input"),
    ] {
        let result = infer(&inference, model, name, &shape, data).await;
        let found = result.as_ref().err().map_or("", |failure| &failure.code);
        assert_eq!(found, code, "{model} {name} {shape:?}: {result:?}");
    }
    let both = ["text", "image"].map(|name| Tensor::new(name, vec![1], texts(1)).unwrap()).to_vec();
    assert_eq!(inference.infer("clip", both, soon()).await.unwrap_err().code, "tensor.unknown-input");
    assert_eq!(inference.infer("clip", vec![], soon()).await.unwrap_err().code, "tensor.unknown-input");
    let half = MAX_TENSOR_BYTES / 8;
    let large = ["a", "b", "c"].map(|name| Tensor::new(name, vec![half], zeros(half)).unwrap()).to_vec();
    assert_eq!(inference.infer("clip", large, soon()).await.unwrap_err().code, "tensor.too-large");
    assert_eq!(DataType::from_name("FP64"), None);
    // None of it troubles the others.
    inference.embed_image(Some("clip"), &cut(1, 64), Priority::Interactive, soon()).await.unwrap();
}
