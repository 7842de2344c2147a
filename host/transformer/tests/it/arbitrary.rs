//! Models of any size.

use std::collections::BTreeMap;

use breakwater_transformer::ClipConfig;
use breakwater_transformer::config::{Activation, EncoderConfig, EndOfText, TextConfig, VisionConfig};
use proptest::prelude::*;

use crate::model::{Model, Values};

/// Widths of a head, heads, hidden numbers, layers, patch, patches across, pixels left over and numbers of an embedding.
pub(crate) fn models() -> impl Strategy<Value = Model> {
    let encoder = (1..=20_usize, 1..=4_usize, 1..=70_usize, 1..=3_usize, any::<bool>());
    let images = (1..=7_usize, 1..=5_usize, 0..=6_usize);
    (encoder, images, 1..=40_usize, 2..=70_usize, any::<u64>()).prop_map(|(encoder, images, projection, positions, seed)| {
        let (head, heads, hidden, layers, quick) = encoder;
        let (patch, across, left) = images;
        let activation = if quick { Activation::QuickGelu } else { Activation::Gelu };
        let encoder = EncoderConfig { width: head * heads, hidden, layers, heads, activation, epsilon: 1e-5 };
        let vision = VisionConfig { encoder: encoder.clone(), edge: patch * across + left.min(patch - 1), patch };
        let text = TextConfig { encoder, vocabulary: 30, positions, end: EndOfText::Token(29) };
        Model::random(ClipConfig { vision: Some(vision), text: Some(text), projection }, seed)
    })
}

impl Model {
    /// Random weights for a description of both towers.
    pub(crate) fn random(config: ClipConfig, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut tensors = BTreeMap::new();
        let mut draw = |name: String, shape: &[usize], mean: f32, scale: f32| {
            let count = shape.iter().product();
            let numbers = (0..count).map(|_| mean + scale * random.next()).collect();
            tensors.insert(name, Values { shape: shape.to_vec(), numbers });
        };
        let (vision, text) = (config.vision.as_ref().unwrap(), config.text.as_ref().unwrap());
        for (tower, encoder, norms) in [
            ("vision_model", &vision.encoder, &["pre_layrnorm", "post_layernorm"][..]),
            ("text_model", &text.encoder, &["final_layer_norm"][..]),
        ] {
            let (width, hidden) = (encoder.width, encoder.hidden);
            let layers = (0..encoder.layers).map(|number| format!("{tower}.encoder.layers.{number}"));
            let norms = norms.iter().map(|name| format!("{tower}.{name}"));
            for name in layers.clone().flat_map(|at| [format!("{at}.layer_norm1"), format!("{at}.layer_norm2")]).chain(norms) {
                draw(format!("{name}.weight"), &[width], 1.0, 0.3);
                draw(format!("{name}.bias"), &[width], 0.0, 0.2);
            }
            for at in layers {
                for (part, outputs, inputs) in [
                    ("self_attn.q_proj", width, width),
                    ("self_attn.k_proj", width, width),
                    ("self_attn.v_proj", width, width),
                    ("self_attn.out_proj", width, width),
                    ("mlp.fc1", hidden, width),
                    ("mlp.fc2", width, hidden),
                ] {
                    draw(format!("{at}.{part}.weight"), &[outputs, inputs], 0.0, 2.0 / (inputs as f32).sqrt());
                    draw(format!("{at}.{part}.bias"), &[outputs], 0.0, 0.2);
                }
            }
        }
        let (width, patch) = (vision.encoder.width, vision.patch);
        draw("vision_model.embeddings.class_embedding".into(), &[width], 0.0, 1.0);
        draw("vision_model.embeddings.patch_embedding.weight".into(), &[width, 3, patch, patch], 0.0, 0.5);
        draw("vision_model.embeddings.position_embedding.weight".into(), &[vision.tokens(), width], 0.0, 1.0);
        draw("visual_projection.weight".into(), &[config.projection, width], 0.0, 0.5);
        let width = text.encoder.width;
        draw("text_model.embeddings.token_embedding.weight".into(), &[text.vocabulary, width], 0.0, 1.0);
        draw("text_model.embeddings.position_embedding.weight".into(), &[text.positions, width], 0.0, 1.0);
        draw("text_projection.weight".into(), &[config.projection, width], 0.0, 0.5);
        Self { config, tensors }
    }
}

/// Numbers between -1 and 1 (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}
