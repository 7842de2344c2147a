//! Models, products and their indices, as the settings say.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use breakwater_inference::{DevicePreference, ModelKind, ModelSource};
use breakwater_operations::search::{ModelAlias, SearchConfig};
use breakwater_resilience::CpuPermits;
use breakwater_search::embedded::{EmbeddedIndices, EmbeddedOptions};
use breakwater_search::recall::{RecallOptions, SampledIndices};
use breakwater_search::{CatalogueConfig, Indices};
use breakwater_search_pgvector::{Config as PgVectorConfig, PgVectorIndices, Storage};
use breakwater_settings::{Device, SearchIndex, Settings};
use tempfile::TempDir;

/// Where models are looked for that have no path of their own, below the data directory.
const MODELS: &str = "models";
/// Where embedded indices are, below the data directory.
const INDICES: &str = "search";
/// Held by the process that has them.
const LOCK: &str = "lock";

pub(super) fn preference(device: Device) -> DevicePreference {
    match device {
        Device::Auto => DevicePreference::Auto,
        Device::Gpu => DevicePreference::Gpu,
        Device::Cpu => DevicePreference::Cpu,
    }
}

/// The models that the operator adds.
pub(super) fn models(settings: &Settings, data_dir: &Path) -> Vec<ModelSource> {
    let source = |(id, model): (&String, &breakwater_settings::Model)| ModelSource {
        id: id.as_str().into(),
        kind: match model.kind {
            breakwater_settings::ModelKind::Clip => ModelKind::Clip,
        },
        path: model.path.clone().unwrap_or_else(|| data_dir.join(MODELS).join(id)),
        device: preference(model.device),
        licence: None,
    };
    settings.models.iter().map(source).collect()
}

/// How search behaves when a call does not say.
pub(super) fn search_config(settings: &Settings) -> SearchConfig {
    let search = &settings.search;
    let alias = |(name, alias): (&String, &breakwater_settings::ModelAlias)| {
        let flag = alias.flag.clone().unwrap_or_else(|| name.clone());
        (name.clone(), ModelAlias { model: alias.model.clone(), other: alias.other.clone(), flag })
    };
    SearchConfig {
        models: search.models.clone(),
        descriptor: search.descriptor,
        aliases: settings.model_aliases.iter().map(alias).collect(),
        page_size: search.page_size,
        min_similarity: search.min_similarity as f32,
        duplicate_distance: search.duplicate_distance,
        quality_weight: search.quality_weight as f32,
        ranker: search.ranker.clone(),
        max_imports: search.max_imports,
        ..SearchConfig::default()
    }
}

/// How indices follow the records.
pub(super) fn catalogue_config(settings: &Settings) -> CatalogueConfig {
    let search = &settings.search;
    CatalogueConfig { snapshot_changes: search.snapshot_changes, snapshot_interval: search.snapshot_interval, ..CatalogueConfig::default() }
}

fn embedded_options(settings: &Settings) -> EmbeddedOptions {
    let (search, default) = (&settings.search, EmbeddedOptions::default());
    EmbeddedOptions { max_vectors: search.max_vectors, ef: search.ef.map_or(default.ef, |ef| ef as usize), ..default }
}

fn pgvector_config(settings: &Settings) -> Result<PgVectorConfig> {
    let search = &settings.search;
    let url = search.postgres_url.as_ref().context("search.postgres_url is needed for the index \"pgvector\"")?;
    let default = PgVectorConfig::new(url.reveal().parse().context("search.postgres_url")?);
    Ok(PgVectorConfig {
        schema: search.postgres_schema.clone(),
        pool_size: search.postgres_connections,
        statement_timeout: search.postgres_timeout,
        storage: if search.postgres_half { Storage::HalfVec } else { Storage::Vector },
        ef_search: search.ef.unwrap_or(default.ef_search),
        ..default
    })
}

/// Where vectors are kept.
///
/// # Errors
/// When the database's address or names cannot be used. One that is not there now is waited for.
pub(super) fn indices(settings: &Settings, folder: &IndexFolder, cpu: &Arc<CpuPermits>) -> Result<Arc<dyn Indices>> {
    let indices: Arc<dyn Indices> = match settings.search.index {
        SearchIndex::Embedded => Arc::new(EmbeddedIndices::new(folder.path.clone(), embedded_options(settings), Arc::clone(cpu))),
        SearchIndex::Pgvector => Arc::new(PgVectorIndices::new(pgvector_config(settings)?).context("[search]")?),
    };
    if settings.search.recall_share == 0.0 {
        return Ok(indices);
    }
    Ok(Arc::new(SampledIndices::new(indices, recall_options(settings))))
}

/// The folder of embedded indices, which one process at a time may have. It is given back when this is dropped, or the process ends.
#[derive(Debug)]
pub(crate) struct IndexFolder {
    path: PathBuf,
    _lock: Option<File>,
    _temporary: Option<TempDir>,
}

impl IndexFolder {
    /// That of the data directory; while another process has it, one of its own, whose indices are made from the records.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn take(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(INDICES);
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make the folder of indices {}", path.display()))?;
        let lock = File::create(path.join(LOCK)).with_context(|| format!("cannot lock the folder of indices {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: Some(lock), _temporary: None }),
            Err(TryLockError::WouldBlock) => {
                tracing::info!("another process has the indices; they are made from the records here");
                Self::temporary()
            }
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the folder of indices"),
        }
    }

    /// One that ends with the process.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn temporary() -> Result<Self> {
        let temporary = tempfile::Builder::new().prefix("breakwater-search-").tempdir().context("cannot make a temporary folder")?;
        Ok(Self { path: temporary.path().to_owned(), _lock: None, _temporary: Some(temporary) })
    }
}

fn recall_options(settings: &Settings) -> RecallOptions {
    RecallOptions { share: settings.search.recall_share, ..RecallOptions::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Settings {
        Settings::parse(Path::new("b.toml"), text, [], &[]).unwrap()
    }

    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_parts() {
        let settings = of("");
        assert_eq!(search_config(&settings), SearchConfig::default());
        assert_eq!(catalogue_config(&settings), CatalogueConfig::default());
        assert_eq!(format!("{:?}", embedded_options(&settings)), format!("{:?}", EmbeddedOptions::default()));
        assert_eq!(format!("{:?}", recall_options(&settings)), format!("{:?}", RecallOptions::default()));
        assert!(models(&settings, Path::new("/data")).is_empty());
        let settings = of("[search]\nindex = \"pgvector\"\npostgres_url = \"postgres://a@localhost/b\"\n");
        let default = PgVectorConfig::new("postgres://a@localhost/b".parse().unwrap());
        assert_eq!(format!("{:?}", pgvector_config(&settings).unwrap()), format!("{default:?}"));
    }

    #[test]
    fn one_process_at_a_time_has_the_indices() {
        let data = tempfile::tempdir().unwrap();
        let first = IndexFolder::take(data.path()).unwrap();
        assert_eq!(first.path, data.path().join(INDICES));
        let beside = IndexFolder::take(data.path()).unwrap();
        assert!(!beside.path.starts_with(data.path()) && beside.path.is_dir());
        let temporary = beside.path.clone();
        drop((first, beside));
        assert!(!temporary.exists());
        assert_eq!(IndexFolder::take(data.path()).unwrap().path, data.path().join(INDICES));
    }

    #[test]
    fn a_model_without_a_path_is_looked_for_in_the_data_directory() {
        let settings =
            of("[models.clip]\n[models.other]\npath = \"/m/other\"\ndevice = \"cpu\"\n[model_aliases.photos]\nother = \"clip\"\n");
        let sources = models(&settings, Path::new("/data"));
        let paths: Vec<_> = sources.iter().map(|source| (&*source.id, source.path.to_str().unwrap(), source.device)).collect();
        assert_eq!(paths, [("clip", "/data/models/clip", DevicePreference::Auto), ("other", "/m/other", DevicePreference::Cpu)]);
        let alias = ModelAlias { model: "efficientnet-lite0".into(), other: Some("clip".into()), flag: "photos".into() };
        assert_eq!(search_config(&settings).aliases, [("photos".to_owned(), alias)].into());
    }
}
