//! CLIP models for tests: shipped ones, and ones of random weights that take texts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use breakwater_inference::{DevicePreference, Inference, InferenceConfig, LoadState, ModelKind, ModelSource};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::calls::until;
use crate::fake::pool;

/// A configured model.
pub(crate) fn source(id: &str, path: &Path) -> ModelSource {
    ModelSource { id: id.into(), kind: ModelKind::Clip, path: path.to_owned(), device: DevicePreference::Auto, licence: None }
}

/// Models on the processor.
pub(crate) fn start(models: Vec<ModelSource>) -> Arc<Inference> {
    // Nothing is remembered, so that every call is computed.
    let config = InferenceConfig { device: DevicePreference::Cpu, detection_cache_bytes: 0, models, ..InferenceConfig::default() };
    Inference::start(config, pool(2)).unwrap()
}

pub(crate) fn state(inference: &Inference, id: &str) -> LoadState {
    inference.catalogue().into_iter().find(|model| &*model.id == id).unwrap().state
}

/// Waits until every model has been loaded, or not.
pub(crate) async fn settled(inference: &Inference) {
    until("all models are loaded, or not", || inference.catalogue().iter().all(|model| model.state != LoadState::Loading)).await;
}

/// Writes a model of the least size that takes texts, with weights that `seed` decides.
pub(crate) fn write_random(folder: &Path, seed: u32) {
    let config = r#"{"model_type": "clip", "projection_dim": 16,
        "vision_config": {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32, "patch_size": 16},
        "text_config": {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "eos_token_id": 2}}"#;
    std::fs::write(folder.join("config.json"), config).unwrap();
    let tensors = random_tensors(seed);
    let views = tensors.iter().map(|(name, (shape, data))| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    // Renamed into place, as a careful operator does it.
    let (new, file) = (folder.join("new.safetensors"), folder.join("model.safetensors"));
    safetensors::serialize_to_file(views, None, &new).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Name, shape and bytes of every tensor of such a model.
pub(crate) fn random_tensors(seed: u32) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("vision_model.embeddings.class_embedding".into(), vec![16]),
        ("vision_model.embeddings.patch_embedding.weight".into(), vec![16, 3, 16, 16]),
        ("vision_model.embeddings.position_embedding.weight".into(), vec![5, 16]),
        ("text_model.embeddings.token_embedding.weight".into(), vec![49_408, 16]),
        ("text_model.embeddings.position_embedding.weight".into(), vec![77, 16]),
        ("visual_projection.weight".into(), vec![16, 16]),
        ("text_projection.weight".into(), vec![16, 16]),
    ];
    for norm in ["vision_model.pre_layrnorm", "vision_model.post_layernorm", "text_model.final_layer_norm"] {
        shapes.extend([(format!("{norm}.weight"), vec![16]), (format!("{norm}.bias"), vec![16])]);
    }
    for tower in ["vision_model", "text_model"] {
        let name = |part: &str| format!("{tower}.encoder.layers.0.{part}");
        for norm in ["layer_norm1", "layer_norm2"] {
            shapes.extend([(name(&format!("{norm}.weight")), vec![16]), (name(&format!("{norm}.bias")), vec![16])]);
        }
        for dense in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"] {
            shapes.extend([(name(&format!("{dense}.weight")), vec![16, 16]), (name(&format!("{dense}.bias")), vec![16])]);
        }
    }
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut number = move || {
        // xorshift: any numbers will do.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f32::from((state >> 16) as u16) / 32_768.0 - 1.0
    };
    let mut bytes = |shape: &[usize]| (0..shape.iter().product::<usize>()).flat_map(|_| number().to_le_bytes()).collect::<Vec<u8>>();
    shapes.into_iter().map(|(name, shape)| (name, (shape.clone(), bytes(&shape)))).collect()
}
