//! The fields of the file as they stand there, with the defaults of transformers' `CLIPVisionConfig` and `CLIPTextConfig`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::ConfigError;

/// The widest that a tower may be; the largest CLIP that is known has 1664.
pub(super) const MOST_WIDTH: u64 = 8192;
/// The widest that the inside of a tower's dense layers may be.
pub(super) const MOST_HIDDEN: u64 = 32_768;
/// The most layers; the largest CLIP that is known has 48.
pub(super) const MOST_LAYERS: u64 = 128;
/// The most tokens of an image or a text: an image of 1024 pixels in patches of 16.
pub(super) const MOST_TOKENS: u64 = 4097;
/// The most rows and columns of an image.
pub(super) const MOST_EDGE: u64 = 2048;
/// The most rows and columns of a patch.
pub(super) const MOST_PATCH: u64 = 128;
/// The largest vocabulary; multilingual ones have 250 000.
pub(super) const MOST_VOCABULARY: u64 = 1 << 20;

/// Reads JSON, and names the field that has another type than it should have.
pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, ConfigError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let malformed = |field: String, source| ConfigError::Malformed { field, source };
    let found = serde_path_to_error::deserialize(&mut reader).map_err(|error| malformed(error.path().to_string(), error.into_inner()))?;
    reader.end().map_err(|error| malformed(".".to_owned(), error))?;
    Ok(found)
}

/// Which kind of model a file describes.
#[derive(Deserialize)]
pub(super) struct Kind {
    pub(super) model_type: Option<String>,
}

/// Both towers. The fields that end in `_dict` are of old files, and win over the others where they are not null, as in transformers.
#[derive(Deserialize)]
pub(super) struct RawClip {
    pub(super) vision_config: Option<RawVision>,
    pub(super) vision_config_dict: Option<RawVision>,
    pub(super) text_config: Option<RawText>,
    pub(super) text_config_dict: Option<RawText>,
    #[serde(default = "projection")]
    pub(super) projection_dim: u64,
}

fn projection() -> u64 {
    512
}

/// What both towers have.
pub(super) struct RawEncoder<'a> {
    pub(super) hidden_size: u64,
    pub(super) intermediate_size: u64,
    pub(super) num_hidden_layers: u64,
    pub(super) num_attention_heads: u64,
    pub(super) hidden_act: &'a str,
    pub(super) layer_norm_eps: f32,
}

macro_rules! tower {
    ($(#[$doc:meta])* $name:ident: $width:literal $hidden:literal $heads:literal, $($field:ident = $default:literal)*) => {
        $(#[$doc])*
        #[derive(Deserialize)]
        #[serde(default)]
        pub(super) struct $name {
            hidden_size: u64,
            intermediate_size: u64,
            num_hidden_layers: u64,
            num_attention_heads: u64,
            hidden_act: String,
            layer_norm_eps: f32,
            pub(super) projection_dim: u64,
            $(pub(super) $field: u64,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    hidden_size: $width,
                    intermediate_size: $hidden,
                    num_hidden_layers: 12,
                    num_attention_heads: $heads,
                    hidden_act: "quick_gelu".to_owned(),
                    layer_norm_eps: 1e-5,
                    projection_dim: projection(),
                    $($field: $default,)*
                }
            }
        }

        impl $name {
            pub(super) fn encoder(&self) -> RawEncoder<'_> {
                RawEncoder {
                    hidden_size: self.hidden_size,
                    intermediate_size: self.intermediate_size,
                    num_hidden_layers: self.num_hidden_layers,
                    num_attention_heads: self.num_attention_heads,
                    hidden_act: &self.hidden_act,
                    layer_norm_eps: self.layer_norm_eps,
                }
            }
        }
    };
}

tower! {
    /// The image tower.
    RawVision: 768 3072 12, num_channels = 3 image_size = 224 patch_size = 32
}

tower! {
    /// The text tower.
    RawText: 512 2048 8, vocab_size = 49_408 max_position_embeddings = 77 eos_token_id = 49_407
}
