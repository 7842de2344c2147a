//! What a CLIP model is made of, read from the `config.json` of Hugging Face.

mod raw;

use crate::error::ConfigError;
use raw::{RawClip, RawEncoder, RawText, RawVision};

/// A CLIP model: an image tower and a text tower that end in the same space. A file may describe one of them only.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipConfig {
    /// The image tower.
    pub vision: Option<VisionConfig>,
    /// The text tower.
    pub text: Option<TextConfig>,
    /// Numbers in an embedding.
    pub projection: usize,
}

/// An image tower: a vision transformer over square patches.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Its layers.
    pub encoder: EncoderConfig,
    /// Rows and columns of an image, in pixels.
    pub edge: usize,
    /// Rows and columns of a patch, in pixels.
    pub patch: usize,
}

/// A text tower: a transformer in which a token sees only those before it.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Its layers.
    pub encoder: EncoderConfig,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// The most tokens of a text, its begin and its end included.
    pub positions: usize,
    /// Where a text ends.
    pub end: EndOfText,
}

/// The layers of a tower.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderConfig {
    /// Numbers per token between the layers.
    pub width: usize,
    /// Numbers per token inside the two dense layers.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads of a layer; they divide the width.
    pub heads: usize,
    /// What stands between the two dense layers.
    pub activation: Activation,
    /// Added to the variance in normalisations.
    pub epsilon: f32,
}

/// A function of one number between dense layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(1.702 · x)`, of OpenAI's models.
    QuickGelu,
    /// `x · Φ(x)`, with the exact error function.
    Gelu,
}

/// Where a text ends, which is where its embedding is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOfText {
    /// At the first of the largest token numbers. So do models whose file says `eos_token_id` 2, which was wrong in OpenAI's first
    /// conversions and is kept by transformers as the sign of them.
    Largest,
    /// At the first token of this number.
    Token(u32),
}

impl ClipConfig {
    /// Reads a `config.json` of type `clip`, `clip_vision_model` or `clip_text_model`. Fields that are not there have the defaults of
    /// transformers' `CLIPConfig`, which are those of ViT-B/32.
    ///
    /// # Errors
    /// When it is not JSON, a field has another type, the model is of another kind, or a value makes no model that can be run.
    pub fn read(json: &[u8]) -> Result<Self, ConfigError> {
        let kind: raw::Kind = raw::parse(json)?;
        match kind.model_type.as_deref().unwrap_or("clip") {
            "clip" => {
                let raw: RawClip = raw::parse(json)?;
                let (vision, text) = (raw.vision_config_dict.or(raw.vision_config), raw.text_config_dict.or(raw.text_config));
                Ok(Self {
                    vision: Some(VisionConfig::check(&vision.unwrap_or_default(), "vision_config.")?),
                    text: Some(TextConfig::check(&text.unwrap_or_default(), "text_config.")?),
                    projection: within("projection_dim", raw.projection_dim, 1, raw::MOST_WIDTH)?,
                })
            }
            "clip_vision_model" => {
                let raw: RawVision = raw::parse(json)?;
                let vision = Some(VisionConfig::check(&raw, "")?);
                Ok(Self { vision, text: None, projection: within("projection_dim", raw.projection_dim, 1, raw::MOST_WIDTH)? })
            }
            "clip_text_model" => {
                let raw: RawText = raw::parse(json)?;
                let text = Some(TextConfig::check(&raw, "")?);
                Ok(Self { vision: None, text, projection: within("projection_dim", raw.projection_dim, 1, raw::MOST_WIDTH)? })
            }
            other => Err(ConfigError::ModelType { found: other.chars().take(60).collect() }),
        }
    }
}

impl VisionConfig {
    /// Tokens of an image: its whole patches, and one for the image.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.patches_per_edge().pow(2) + 1
    }

    /// Whole patches in a row of an image; pixels that are left over are not looked at.
    #[must_use]
    pub fn patches_per_edge(&self) -> usize {
        self.edge.checked_div(self.patch).unwrap_or(0)
    }

    fn check(raw: &RawVision, at: &str) -> Result<Self, ConfigError> {
        within(&format!("{at}num_channels"), raw.num_channels, 3, 3)?;
        let edge = within(&format!("{at}image_size"), raw.image_size, 1, raw::MOST_EDGE)?;
        let patch = within(&format!("{at}patch_size"), raw.patch_size, 1, raw.image_size.min(raw::MOST_PATCH))?;
        let vision = Self { encoder: EncoderConfig::check(&raw.encoder(), at)?, edge, patch };
        let most = raw::MOST_TOKENS as usize;
        if vision.tokens() > most {
            let why = format!("an image of {edge} x {edge} would have {} tokens, more than {most}", vision.tokens());
            return Err(ConfigError::Unusable { field: format!("{at}patch_size"), value: patch.to_string(), why });
        }
        Ok(vision)
    }
}

impl TextConfig {
    fn check(raw: &RawText, at: &str) -> Result<Self, ConfigError> {
        let vocabulary = within(&format!("{at}vocab_size"), raw.vocab_size, 1, raw::MOST_VOCABULARY)?;
        let end = match raw.eos_token_id {
            2 => EndOfText::Largest,
            token => EndOfText::Token(within(&format!("{at}eos_token_id"), token, 0, raw.vocab_size - 1)? as u32),
        };
        Ok(Self {
            encoder: EncoderConfig::check(&raw.encoder(), at)?,
            vocabulary,
            positions: within(&format!("{at}max_position_embeddings"), raw.max_position_embeddings, 1, raw::MOST_TOKENS)?,
            end,
        })
    }
}

impl EncoderConfig {
    /// Numbers per token in one head.
    #[must_use]
    pub fn head(&self) -> usize {
        self.width.checked_div(self.heads).unwrap_or(0)
    }

    fn check(raw: &RawEncoder<'_>, at: &str) -> Result<Self, ConfigError> {
        let field = |name: &str| format!("{at}{name}");
        let unusable = |name: &str, value: String, why: &str| ConfigError::Unusable { field: field(name), value, why: why.to_owned() };
        let width = within(&field("hidden_size"), raw.hidden_size, 1, raw::MOST_WIDTH)?;
        let heads = within(&field("num_attention_heads"), raw.num_attention_heads, 1, raw.hidden_size)?;
        if width % heads != 0 {
            return Err(unusable("num_attention_heads", heads.to_string(), &format!("it must divide hidden_size, which is {width}")));
        }
        let activation = match raw.hidden_act {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => {
                let value = format!("{:?}", other.chars().take(60).collect::<String>());
                return Err(unusable("hidden_act", value, "quick_gelu and gelu are understood"));
            }
        };
        if !(raw.layer_norm_eps > 0.0 && raw.layer_norm_eps <= 1.0) {
            return Err(unusable("layer_norm_eps", raw.layer_norm_eps.to_string(), "it must be above 0 and at most 1"));
        }
        Ok(Self {
            width,
            hidden: within(&field("intermediate_size"), raw.intermediate_size, 1, raw::MOST_HIDDEN)?,
            layers: within(&field("num_hidden_layers"), raw.num_hidden_layers, 1, raw::MOST_LAYERS)?,
            heads,
            activation,
            epsilon: raw.layer_norm_eps,
        })
    }
}

fn within(field: &str, value: u64, least: u64, most: u64) -> Result<usize, ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(value as usize);
    }
    Err(ConfigError::OutOfRange { field: field.to_owned(), value, least, most })
}
