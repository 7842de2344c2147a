//! The files of a model: `config.json`, `preprocessor_config.json` if it is there, and weights in one safetensors file or several.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use breakwater_core::Digest;
use serde::Deserialize;

use crate::error::InferenceError;

/// The largest file that describes a model, in bytes; the index of a sharded one of 10 000 tensors has about 1 MB.
pub const MAX_DESCRIPTION_BYTES: u64 = 4 << 20;
/// The most bytes of a model's weights. CLIP ViT-bigG has 10 GB in 32 bits.
pub const MAX_MODEL_BYTES: u64 = 16 << 30;
/// The most files that weights may be divided into.
pub const MAX_SHARDS: usize = 64;

const CONFIG: &str = "config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Where the files of a model are.
#[derive(Debug)]
pub(super) struct Files {
    config: PathBuf,
    preprocessor: Option<PathBuf>,
    weights: Vec<PathBuf>,
    bytes: u64,
}

/// The index of weights that are divided into several files.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Files {
    /// In a folder, or beside a `.safetensors` file.
    pub(super) fn find(path: &Path) -> Result<Self, InferenceError> {
        let single = path.extension().is_some_and(|extension| extension == "safetensors");
        let folder = if single { path.parent().unwrap_or(Path::new("")) } else { path };
        let weights = match (single, folder.join(WEIGHTS), folder.join(INDEX)) {
            (true, ..) => vec![path.to_owned()],
            (false, file, _) if file.exists() => vec![file],
            (false, _, index) if index.exists() => shards(&index)?,
            (false, file, _) => vec![file],
        };
        let config = folder.join(CONFIG);
        size(&config)?;
        let mut bytes: u64 = 0;
        for file in &weights {
            bytes = bytes.saturating_add(size(file)?);
            if bytes > MAX_MODEL_BYTES {
                return Err(InferenceError::TooLarge { path: file.clone(), limit: MAX_MODEL_BYTES });
            }
        }
        let preprocessor = Some(folder.join(PREPROCESSOR)).filter(|file| file.exists());
        Ok(Self { config, preprocessor, weights, bytes })
    }

    pub(super) fn config(&self) -> &PathBuf {
        &self.config
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// `config.json`.
    pub(super) fn description(&self) -> Result<Vec<u8>, InferenceError> {
        read(&self.config, MAX_DESCRIPTION_BYTES)
    }

    /// `preprocessor_config.json`, if there is one.
    pub(super) fn preparation(&self) -> Result<Option<(PathBuf, Vec<u8>)>, InferenceError> {
        let file = self.preprocessor.as_ref();
        file.map(|path| Ok((path.clone(), read(path, MAX_DESCRIPTION_BYTES)?))).transpose()
    }

    /// All of the weights.
    pub(super) fn read_weights(&self) -> Result<Vec<Vec<u8>>, InferenceError> {
        self.weights.iter().map(|path| read(path, MAX_MODEL_BYTES)).collect()
    }

    /// The digest of the weights, without holding more than a file of them.
    pub(super) fn digest(&self) -> Result<Digest, InferenceError> {
        let digest = |path: &PathBuf| Ok(Digest::of(&read(path, MAX_MODEL_BYTES)?));
        let digests = self.weights.iter().map(digest).collect::<Result<Vec<_>, InferenceError>>()?;
        Ok(together(&digests))
    }

    /// Numbers in all tensors; 0 when the headers cannot be read.
    pub(super) fn parameters(&self) -> u64 {
        let numbers = |path: &PathBuf| -> Option<u64> {
            let mut file = File::open(path).ok()?;
            let mut length = [0; 8];
            file.read_exact(&mut length).ok()?;
            let length = usize::try_from(u64::from_le_bytes(length)).ok().filter(|length| *length as u64 <= MAX_DESCRIPTION_BYTES)?;
            let mut header = vec![0; 8 + length];
            let (size, rest) = header.split_first_chunk_mut::<8>()?;
            *size = (length as u64).to_le_bytes();
            file.read_exact(rest).ok()?;
            let tensors: BTreeMap<String, serde_json::Value> = serde_json::from_slice(rest).ok()?;
            let shapes = tensors.values().filter_map(|tensor| tensor.get("shape")?.as_array());
            Some(shapes.map(|shape| shape.iter().filter_map(serde_json::Value::as_u64).product::<u64>()).sum())
        };
        self.weights.iter().filter_map(numbers).sum()
    }
}

/// The digest of weights that are in memory, as [`Files::digest`] gives it.
pub(super) fn digest_of(files: &[&[u8]]) -> Digest {
    together(&files.iter().map(|file| Digest::of(file)).collect::<Vec<_>>())
}

fn together(files: &[Digest]) -> Digest {
    Digest::of_parts(files.iter().map(|digest| digest.as_bytes().as_slice()))
}

/// The files that an index names, which lie beside it.
fn shards(index: &Path) -> Result<Vec<PathBuf>, InferenceError> {
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| InferenceError::Unusable { path: index.to_owned(), source };
    let parsed: Index = serde_json::from_slice(&read(index, MAX_DESCRIPTION_BYTES)?).map_err(|error| unusable(error.into()))?;
    let names: BTreeSet<&String> = parsed.weight_map.values().collect();
    if names.is_empty() || names.len() > MAX_SHARDS {
        return Err(unusable(format!("it names {} files; 1 to {MAX_SHARDS} are read", names.len()).into()));
    }
    let beside = |name: &String| {
        let mut parts = Path::new(name).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(file)), None) => Ok(index.with_file_name(file)),
            _ => Err(unusable(format!("{:?} is not the name of a file beside it", name.chars().take(80).collect::<String>()).into())),
        }
    };
    names.into_iter().map(beside).collect()
}

fn size(path: &Path) -> Result<u64, InferenceError> {
    let metadata = std::fs::metadata(path).map_err(|source| InferenceError::Read { path: path.to_owned(), source })?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(InferenceError::Read { path: path.to_owned(), source: std::io::Error::other("not a file") })
}

/// A whole file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, InferenceError> {
    let failed = |source| InferenceError::Read { path: path.to_owned(), source };
    let expected = size(path)?;
    if expected > limit {
        return Err(InferenceError::TooLarge { path: path.to_owned(), limit });
    }
    // One allocation of the right size: a growing one would hold the file twice for a moment.
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(expected).unwrap_or(usize::MAX)).map_err(|error| failed(std::io::Error::other(error)))?;
    File::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(InferenceError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}
