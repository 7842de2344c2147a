//! `wasi:nn`: tensors through the models that the plugin was granted.
//!
//! The standard interface with the host's models behind it. Tensors stay in the host until a guest asks for their data.

mod error;

use std::sync::Arc;

use breakwater_core::{Failure, FailureKind};
use bytes::Bytes;
use wasmtime::component::Resource;

use crate::bindings::wasi::nn::tensor::TensorType;
use crate::bindings::wasi::nn::{errors, graph, inference, tensor};
use crate::ports::{ElementType, ModelTensor};
use crate::state::CallState;
use crate::trap::LimitCrossed;

#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub use error::GuestError;

/// The most dimensions of a tensor.
const MAX_DIMENSIONS: usize = 8;
/// The most tensors of one inference, on either side.
const MAX_TENSORS: usize = 64;
/// The longest name of a tensor, in bytes.
const MAX_NAME: usize = 128;

/// A tensor.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct GuestTensor {
    dimensions: Vec<u32>,
    element: ElementType,
    data: Bytes,
    /// How many of its bytes count towards what the call may hold.
    held: u64,
}

/// A model, by its name.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct GuestGraph {
    model: Arc<str>,
}

/// A model that is about to be run.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct GuestSession {
    model: Arc<str>,
}

type Told<T> = wasmtime::Result<Result<T, Resource<GuestError>>>;
type Named = (String, Resource<GuestTensor>);

fn invalid(what: String) -> Failure {
    Failure::new(FailureKind::InvalidRequest, "embedder.tensor-invalid", what)
}

/// Whether a tensor is one: its data is as long as its dimensions and its type say.
fn check(name: &str, dimensions: &[u32], element: ElementType, bytes: usize) -> Result<(), Failure> {
    let shown: String = name.escape_debug().take(MAX_NAME).collect();
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(invalid(format!("the name of a tensor is 1 to {MAX_NAME} bytes, not {}", name.len())));
    }
    if dimensions.len() > MAX_DIMENSIONS {
        return Err(invalid(format!("the tensor `{shown}` has {} dimensions; at most {MAX_DIMENSIONS} are taken", dimensions.len())));
    }
    let elements = dimensions.iter().try_fold(1_usize, |product, edge| product.checked_mul(*edge as usize));
    let expected = elements.and_then(|elements| elements.checked_mul(element.size()));
    if expected != Some(bytes) {
        let expected = expected.map_or_else(|| "more than there is memory".to_owned(), |expected| expected.to_string());
        return Err(invalid(format!("the tensor `{shown}` of {dimensions:?} has {bytes} bytes instead of {expected}")));
    }
    Ok(())
}

impl CallState {
    /// The tensors that a guest gives to a model, which stay its own.
    fn inputs(&mut self, given: &[Named]) -> wasmtime::Result<Result<Vec<ModelTensor>, Failure>> {
        let mut inputs = Vec::with_capacity(given.len().min(MAX_TENSORS));
        if given.len() > MAX_TENSORS {
            return Ok(Err(invalid(format!("{} tensors at once; at most {MAX_TENSORS} are taken", given.len()))));
        }
        for (name, tensor) in given {
            let GuestTensor { dimensions, element, data, .. } = self.table.get(tensor)?;
            if let Err(failure) = check(name, dimensions, *element, data.len()) {
                return Ok(Err(failure));
            }
            inputs.push(ModelTensor { name: name.clone(), dimensions: dimensions.clone(), element: *element, data: data.clone() });
        }
        Ok(Ok(inputs))
    }

    /// What a model answered, for the guest.
    fn outputs(&mut self, answered: Vec<ModelTensor>) -> wasmtime::Result<Result<Vec<Named>, Failure>> {
        let held: u64 = answered.iter().map(|tensor| tensor.data.len() as u64).sum();
        let limit = self.scope.services.blob_bytes;
        if self.meter.blob_bytes.saturating_add(held) > limit {
            return Ok(Err(LimitCrossed::BlobBytes { limit }.into()));
        }
        self.meter.blob_bytes += held;
        let push = |ModelTensor { name, dimensions, element, data }: ModelTensor| {
            let held = data.len() as u64;
            Ok((name, self.table.push(GuestTensor { dimensions, element, data, held })?))
        };
        answered.into_iter().map(push).collect::<wasmtime::Result<_>>().map(Ok)
    }

    fn found(&self, model: &str) -> Result<(), Failure> {
        self.may_use(model)?;
        self.scope.services.ports.infer.find(model)
    }

    fn told<T>(&mut self, outcome: Result<T, Failure>) -> Told<T> {
        Ok(match outcome {
            Ok(value) => Ok(value),
            Err(failure) => Err(self.table.push(GuestError::of(&failure))?),
        })
    }
}

impl tensor::Host for CallState {}

impl tensor::HostTensor for CallState {
    fn new(&mut self, dimensions: Vec<u32>, ty: TensorType, data: Vec<u8>) -> wasmtime::Result<Resource<GuestTensor>> {
        self.charge_call()?;
        self.charge_bytes(data.len() + size_of_val(dimensions.as_slice()))?;
        // It cannot fail here; what does not fit together is refused when it is computed with.
        let tensor = GuestTensor { dimensions, element: element_from_guest(ty), data: data.into(), held: 0 };
        Ok(self.table.push(tensor)?)
    }

    fn dimensions(&mut self, tensor: Resource<GuestTensor>) -> wasmtime::Result<Vec<u32>> {
        self.charge_call()?;
        let dimensions = self.table.get(&tensor)?.dimensions.clone();
        self.charge_bytes(size_of_val(dimensions.as_slice()))?;
        Ok(dimensions)
    }

    fn ty(&mut self, tensor: Resource<GuestTensor>) -> wasmtime::Result<TensorType> {
        self.charge_call()?;
        Ok(element_to_guest(self.table.get(&tensor)?.element))
    }

    fn data(&mut self, tensor: Resource<GuestTensor>) -> wasmtime::Result<Vec<u8>> {
        self.charge_call()?;
        let data = self.table.get(&tensor)?.data.clone();
        self.charge_bytes(data.len())?;
        Ok(data.into())
    }

    fn drop(&mut self, tensor: Resource<GuestTensor>) -> wasmtime::Result<()> {
        let GuestTensor { held, .. } = self.table.delete(tensor)?;
        self.meter.blob_bytes = self.meter.blob_bytes.saturating_sub(held);
        Ok(())
    }
}

impl graph::Host for CallState {
    /// Models are the operator's: none is taken from a guest.
    fn load(
        &mut self,
        builder: Vec<graph::GraphBuilder>,
        _encoding: graph::GraphEncoding,
        _target: graph::ExecutionTarget,
    ) -> Told<Resource<GuestGraph>> {
        self.charge_call()?;
        self.charge_bytes(builder.iter().map(Vec::len).sum())?;
        let what = "a model is loaded by its name; the host takes none from a plugin";
        Ok(Err(self.table.push(GuestError::new(errors::ErrorCode::UnsupportedOperation, what))?))
    }

    fn load_by_name(&mut self, name: String) -> Told<Resource<GuestGraph>> {
        self.charge_call()?;
        let graph = match self.found(&name) {
            Ok(()) => Ok(self.table.push(GuestGraph { model: name.into() })?),
            Err(failure) => Err(failure),
        };
        self.told(graph)
    }
}

impl graph::HostGraph for CallState {
    fn init_execution_context(&mut self, graph: Resource<GuestGraph>) -> Told<Resource<GuestSession>> {
        self.charge_call()?;
        let model = Arc::clone(&self.table.get(&graph)?.model);
        Ok(Ok(self.table.push(GuestSession { model })?))
    }

    fn drop(&mut self, graph: Resource<GuestGraph>) -> wasmtime::Result<()> {
        self.table.delete(graph)?;
        Ok(())
    }
}

impl inference::Host for CallState {}

impl inference::HostGraphExecutionContext for CallState {
    async fn compute(&mut self, session: Resource<GuestSession>, given: Vec<Named>) -> Told<Vec<Named>> {
        self.charge_call()?;
        let model = Arc::clone(&self.table.get(&session)?.model);
        let inputs = self.inputs(&given)?;
        // They were given away.
        for (_, tensor) in given {
            tensor::HostTensor::drop(self, tensor)?;
        }
        let answered = match inputs {
            Ok(inputs) => {
                let (services, deadline) = (Arc::clone(&self.scope.services), self.host_deadline());
                self.wait("the inference", services.ports.infer.infer(&model, inputs, deadline)).await
            }
            Err(failure) => Err(failure),
        };
        let outputs = match answered {
            Ok(answered) => self.outputs(answered)?,
            Err(failure) => Err(failure),
        };
        self.told(outputs)
    }

    fn drop(&mut self, session: Resource<GuestSession>) -> wasmtime::Result<()> {
        self.table.delete(session)?;
        Ok(())
    }
}

fn element_from_guest(ty: TensorType) -> ElementType {
    match ty {
        TensorType::Fp16 => ElementType::F16,
        TensorType::Fp32 => ElementType::F32,
        TensorType::Fp64 => ElementType::F64,
        TensorType::Bf16 => ElementType::Bf16,
        TensorType::U8 => ElementType::U8,
        TensorType::I32 => ElementType::I32,
        TensorType::I64 => ElementType::I64,
    }
}

fn element_to_guest(element: ElementType) -> TensorType {
    match element {
        ElementType::F16 => TensorType::Fp16,
        ElementType::F32 => TensorType::Fp32,
        ElementType::F64 => TensorType::Fp64,
        ElementType::Bf16 => TensorType::Bf16,
        ElementType::U8 => TensorType::U8,
        ElementType::I32 => TensorType::I32,
        ElementType::I64 => TensorType::I64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_as_long_as_its_dimensions_say() {
        let fits = |dimensions: &[u32], element, bytes| check("x", dimensions, element, bytes).is_ok();
        assert!(fits(&[2, 3], ElementType::F32, 24) && fits(&[], ElementType::I64, 8) && fits(&[0, 5], ElementType::U8, 0));
        assert!(fits(&[1; 8], ElementType::F16, 2) && !fits(&[1; 9], ElementType::F16, 2));
        assert!(!fits(&[2, 3], ElementType::F32, 23) && !fits(&[u32::MAX; 8], ElementType::F64, 0));
        for name in ["", &"n".repeat(MAX_NAME + 1)] {
            assert_eq!(check(name, &[1], ElementType::U8, 1).unwrap_err().code, "embedder.tensor-invalid");
        }
    }
}
