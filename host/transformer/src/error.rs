//! Models and inputs that cannot be run.

use breakwater_convnet::Isa;
use safetensors::Dtype;

/// A model or an input that cannot be run. Found when a file is read, when a tower is made or when an input is looked at; never in
/// the middle of a run.
#[derive(Debug, thiserror::Error)]
pub enum TransformerError {
    /// The description of the model cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The weights cannot be used, or not for this model.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The model's description has no such tower.
    #[error("the model has no {tower} tower")]
    NoTower {
        /// `vision` or `text`.
        tower: &'static str,
    },
    /// The machine does not have the instructions asked for.
    #[error("this machine does not have {isa} instructions")]
    Isa {
        /// What was asked for.
        isa: Isa,
    },
    /// The values are not whole images.
    #[error("{values} values are not one or more images of {each} values")]
    Images {
        /// How many values there are.
        values: usize,
        /// How many an image has: three planes of edge times edge.
        each: usize,
    },
    /// The input holds a value that is infinite or not a number.
    #[error("value {index} of the input is not a finite number")]
    NotFinite {
        /// Position of the first such value.
        index: usize,
    },
    /// A text is not what the tower takes.
    #[error("text {index}: {reason}")]
    Text {
        /// Which of the batch.
        index: usize,
        /// What is wrong with it.
        reason: TextError,
    },
}

/// Why a text cannot be embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It has no tokens at all.
    #[error("there are no tokens")]
    Empty,
    /// It has more tokens than there are positions.
    #[error("{tokens} tokens; the model has positions for {limit}")]
    TooLong {
        /// Tokens of the text.
        tokens: usize,
        /// Positions of the model.
        limit: usize,
    },
    /// A token is not in the vocabulary.
    #[error("token {token} at position {position} is not in the vocabulary of {vocabulary}")]
    UnknownToken {
        /// The token.
        token: u32,
        /// Where it is.
        position: usize,
        /// Tokens in the vocabulary.
        vocabulary: usize,
    },
    /// The token that ends a text, where the result is read, is missing.
    #[error("token {end}, which ends a text, is missing")]
    NoEnd {
        /// The token that ends a text.
        end: u32,
    },
}

/// A `config.json` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is no JSON, or a field has another type than it should have.
    #[error("field {field} of the model's configuration cannot be read")]
    Malformed {
        /// Path of the field; `.` is the whole file.
        field: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The file describes another kind of model.
    #[error("the configuration describes a model of type {found:?}; clip, clip_vision_model and clip_text_model are understood")]
    ModelType {
        /// Its `model_type`.
        found: String,
    },
    /// A number is outside its range.
    #[error("{field} is {value}; it must be between {least} and {most}")]
    OutOfRange {
        /// Path of the field.
        field: String,
        /// What the file says.
        value: u64,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// A field has a value that makes no model.
    #[error("{field} is {value}; {why}")]
    Unusable {
        /// Path of the field.
        field: String,
        /// What the file says.
        value: String,
        /// Why that cannot be.
        why: String,
    },
}

/// Weights that cannot be used, or not for this model.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The bytes are no complete safetensors file.
    #[error("file {file} of the weights is not a complete safetensors file")]
    Malformed {
        /// Which of the files, from 0.
        file: usize,
        /// What is wrong with it.
        #[source]
        source: safetensors::SafeTensorError,
    },
    /// Two files hold a tensor of this name.
    #[error("tensor {name:?} is in more than one file")]
    Repeated {
        /// The tensor.
        name: String,
    },
    /// The model needs a tensor that is not there.
    #[error("tensor {name:?} is missing; the model needs it to be {expected:?}")]
    Missing {
        /// The tensor.
        name: String,
        /// What the model needs.
        expected: Vec<usize>,
    },
    /// A tensor has other dimensions than the model needs.
    #[error("tensor {name:?} is {found:?}, the model needs {expected:?}")]
    WrongShape {
        /// The tensor.
        name: String,
        /// What the model needs.
        expected: Vec<usize>,
        /// What the file holds.
        found: Vec<usize>,
    },
    /// A tensor holds numbers of a type that is not understood.
    #[error("tensor {name:?} holds {dtype:?}; f32, f16 and bf16 are understood")]
    Dtype {
        /// The tensor.
        name: String,
        /// What it holds.
        dtype: Dtype,
    },
    /// A tensor holds a number that is infinite or not a number.
    #[error("tensor {name:?} holds a value that is not a finite number")]
    NotFinite {
        /// The tensor.
        name: String,
    },
}
