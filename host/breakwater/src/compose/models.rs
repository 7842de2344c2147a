//! The host's models as guests reach them.

use std::sync::Arc;

use breakwater_core::{BoxFuture, Deadline, Failure};
use breakwater_inference::{DataType, Embedding, Inference, Priority, Tensor};
use breakwater_plugins::{ElementType, Embed, Infer, ModelDescription, ModelTensor, ModelVector};
use breakwater_vision::Image;
use bytes::Bytes;

/// Vectors and tensors by the inference engine.
pub(super) struct ThroughInference(pub(super) Arc<Inference>);

impl Embed for ThroughInference {
    fn describe(&self, model: &str) -> Result<ModelDescription, Failure> {
        // Says what is wrong with a name that is none, or with a model that is not loaded.
        self.0.metadata(model)?;
        let known = self.0.embedders().into_iter().find(|known| *known.id == *model);
        let known = known.ok_or_else(|| Failure::invalid("embedder.unknown-model", format!("the model `{model}` gives no vectors")))?;
        Ok(ModelDescription {
            model: known.id,
            revision: known.revision,
            dimension: known.dimension,
            images: known.images,
            texts: known.texts,
            max_tokens: known.max_tokens,
        })
    }

    fn embed_image<'a>(&'a self, model: &'a str, image: &'a Arc<Image>, deadline: Deadline) -> BoxFuture<'a, Result<ModelVector, Failure>> {
        Box::pin(async move { self.0.embed_image(Some(model), image, Priority::Interactive, deadline).await.map(|found| vector(&found)) })
    }

    fn embed_text<'a>(&'a self, model: &'a str, text: &'a str, deadline: Deadline) -> BoxFuture<'a, Result<ModelVector, Failure>> {
        Box::pin(async move { self.0.embed_text(Some(model), text, Priority::Interactive, deadline).await.map(|found| vector(&found)) })
    }
}

fn vector(embedding: &Embedding) -> ModelVector {
    ModelVector { model: embedding.model().into(), revision: embedding.revision(), values: embedding.values().into() }
}

impl Infer for ThroughInference {
    fn find(&self, model: &str) -> Result<(), Failure> {
        self.0.metadata(model).map(drop)
    }

    fn infer<'a>(
        &'a self,
        model: &'a str,
        inputs: Vec<ModelTensor>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<Vec<ModelTensor>, Failure>> {
        Box::pin(async move {
            let inputs = inputs.into_iter().map(taken).collect::<Result<_, _>>()?;
            let outputs = self.0.infer(model, inputs, deadline).await?;
            outputs.iter().map(given).collect()
        })
    }
}

/// As the engine takes it. Bytes are one byte string: a text or an encoded image.
fn taken(tensor: ModelTensor) -> Result<Tensor, Failure> {
    let ModelTensor { name, dimensions, element, data } = tensor;
    let shape: Vec<usize> = dimensions.iter().map(|edge| *edge as usize).collect();
    let data_type = match element {
        ElementType::F32 => DataType::Fp32,
        ElementType::F16 => DataType::Fp16,
        ElementType::I64 => DataType::Int64,
        ElementType::U8 => return Ok(Tensor::new(name, vec![1], breakwater_inference::TensorData::Bytes(vec![data]))?),
        ElementType::F64 | ElementType::Bf16 | ElementType::I32 => {
            let message = format!("the tensor `{name}` is of a type that no model here takes: use fp32, fp16, i64 or u8");
            return Err(Failure::invalid("tensor.type", message));
        }
    };
    Ok(Tensor::from_raw(name, shape, data_type, &data)?)
}

/// As guests are given it.
fn given(tensor: &Tensor) -> Result<ModelTensor, Failure> {
    let element = match tensor.data_type() {
        DataType::Fp32 => ElementType::F32,
        DataType::Fp16 => ElementType::F16,
        DataType::Int64 => ElementType::I64,
        DataType::Bytes => return Err(Failure::internal("a model gave byte strings, which guests have no type for")),
    };
    let edge = |edge: &usize| u32::try_from(*edge).map_err(|_| Failure::internal("a model gave a tensor that is too large for a guest"));
    let dimensions = tensor.shape().iter().map(edge).collect::<Result<_, _>>()?;
    Ok(ModelTensor { name: tensor.name().to_owned(), dimensions, element, data: Bytes::from(tensor.to_raw()) })
}

#[cfg(test)]
mod tests {
    use breakwater_inference::TensorData;

    use super::*;

    fn tensor(element: ElementType, dimensions: &[u32], data: &[u8]) -> ModelTensor {
        ModelTensor { name: "x".into(), dimensions: dimensions.to_vec(), element, data: Bytes::copy_from_slice(data) }
    }

    #[test]
    fn numbers_go_in_and_come_out_as_they_are_and_bytes_are_one_string() {
        let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let numbers = tensor(ElementType::F32, &[1, 2], &bytes);
        let inside = taken(numbers.clone()).unwrap();
        assert_eq!(inside, Tensor::new("x", vec![1, 2], TensorData::Fp32(vec![1.5, -2.0])).unwrap());
        assert_eq!(given(&inside).unwrap(), numbers);
        let text = taken(tensor(ElementType::U8, &[5], b"a dog")).unwrap();
        assert_eq!(text, Tensor::new("x", vec![1], TensorData::Bytes(vec![Bytes::from_static(b"a dog")])).unwrap());
    }

    #[test]
    fn types_and_sizes_that_fit_nothing_are_refused() {
        assert_eq!(taken(tensor(ElementType::F64, &[1], &[0; 8])).unwrap_err().code, "tensor.type");
        for (dimensions, data) in [(vec![2], vec![0; 4]), (vec![1], vec![0; 3])] {
            let failure = taken(tensor(ElementType::F32, &dimensions, &data)).unwrap_err();
            assert!(failure.code.starts_with("tensor."), "{failure:?}");
        }
    }
}
