//! An index in files.
//!
//! A snapshot is a few files with names of their own and a manifest that names them with their digests. The manifest is written last and
//! takes the place of the one before in one step, so that at any moment there is one whole snapshot or the other. Files that no manifest
//! names are deleted with the next snapshot.

mod files;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::Ordering;

use breakwater_core::Digest;
use half::f16;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::core::Core;
use super::graph::{CONNECTIVITY, EXPANSION, Graph};
use super::labels::{self, Labels};
use super::rows::Rows;
use super::slab::{CHUNK, Slab};
use crate::index::{IndexError, Key};
use crate::space::Space;

/// Changes whenever what is written changes.
const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
const VECTORS: &str = "vectors";
const LIVE: &str = "live";
const TRAITS: &str = "traits";
const GRAPH: &str = "graph";

/// What a snapshot is, and which files it consists of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// Version of the library that wrote the graph, and how it was made.
    usearch: String,
    connectivity: usize,
    expansion: usize,
    model: String,
    revision: Digest,
    dimension: u32,
    sequence: u64,
    rows: u32,
    covered: u32,
    /// By what they hold: the name and the digest.
    files: BTreeMap<String, (String, Digest)>,
}

fn unavailable(what: &'static str) -> impl FnOnce(io::Error) -> IndexError {
    move |source| IndexError::Unavailable { what: what.to_owned(), source: Box::new(source) }
}

/// Writes what the index holds now. Returns up to which sequence number that is.
pub(super) fn write(core: &Core) -> Result<u64, IndexError> {
    if core.removed.load(Ordering::Acquire) {
        return Err(IndexError::Unavailable { what: "saving an index".to_owned(), source: "it was removed".into() });
    }
    let failed = || unavailable("saving an index");
    fs::create_dir_all(&core.folder).map_err(failed())?;
    let mut files = files::Writer::new(&core.folder);
    let still = core.keep_still();
    let graph = core.graph.blocking_read();
    let (slab, live, traits, sequence) = {
        let rows = core.rows();
        (rows.slab.clone(), rows.live.clone(), rows.labels.stored(), rows.sequence)
    };
    let covered = if graph.len() > 0 { graph.covered } else { 0 };
    if covered > 0 {
        files.write_with(GRAPH, |path| graph.save(path))?;
    }
    // From here on the graph may change.
    drop((graph, still));
    let write_vectors = |out: &mut dyn io::Write| {
        slab.chunks().try_for_each(|chunk| {
            let keys: Vec<u8> = chunk.keys.iter().flat_map(|key| key.0.to_le_bytes()).collect();
            let values: Vec<u8> = chunk.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            out.write_all(&keys)?;
            out.write_all(&values)
        })
    };
    files.write(VECTORS, write_vectors).map_err(failed())?;
    files.write(LIVE, |out| live.serialize_into(out)).map_err(failed())?;
    files.write(TRAITS, |out| serde_json::to_writer(out, &traits).map_err(io::Error::from)).map_err(failed())?;
    let manifest = Manifest {
        format: FORMAT,
        usearch: usearch::version().to_owned(),
        connectivity: CONNECTIVITY,
        expansion: EXPANSION,
        model: core.space.model.to_string(),
        revision: core.space.revision,
        dimension: core.space.dimension,
        sequence,
        rows: slab.len(),
        covered,
        files: files.written(),
    };
    let manifest = serde_json::to_vec_pretty(&manifest).map_err(|error| failed()(error.into()))?;
    files.finish(MANIFEST, &manifest).map_err(failed())?;
    Ok(sequence)
}

/// Reads what was written last. None when nothing ever was.
pub(super) fn read(folder: &Path, space: &Space, threads: usize, max_labels: usize) -> Result<Option<(Rows, Graph)>, IndexError> {
    let corrupt = |error: &dyn std::fmt::Display| IndexError::Corrupt(error.to_string());
    let manifest = match fs::read(folder.join(MANIFEST)) {
        Ok(manifest) => manifest,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(corrupt(&error)),
    };
    let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|error| corrupt(&error))?;
    check(&manifest, space)?;
    let files = files::Reader::new(folder, &manifest.files);
    let dimension = space.dimension as usize;

    let slab = read_vectors(&mut files.open(VECTORS)?, dimension, manifest.rows).map_err(|error| corrupt(&error))?;
    let live = RoaringBitmap::deserialize_from(files.open(LIVE)?).map_err(|error| corrupt(&error))?;
    let traits: labels::Stored = serde_json::from_reader(files.open(TRAITS)?).map_err(|error| corrupt(&error))?;
    let labels = Labels::restored(traits, max_labels);
    if slab.len() != manifest.rows || labels.len() != slab.len() as usize || live.max().is_some_and(|row| row >= slab.len()) {
        return Err(IndexError::Corrupt("its parts do not belong together".to_owned()));
    }
    let graph = match manifest.covered {
        0 => Graph::new(dimension, threads)?,
        covered => Graph::load(dimension, threads, &files.path(GRAPH)?, covered)?,
    };
    Ok(Some((Rows::of(slab, labels, live, manifest.sequence), graph)))
}

fn check(manifest: &Manifest, space: &Space) -> Result<(), IndexError> {
    let Manifest { format, usearch, connectivity, expansion, model, revision, dimension, .. } = manifest;
    if (*format, *connectivity, *expansion) != (FORMAT, CONNECTIVITY, EXPANSION) || usearch != usearch::version() {
        return Err(IndexError::Corrupt("it was written by another version".to_owned()));
    }
    if (&**model, *revision, *dimension) != (&*space.model, space.revision, space.dimension) {
        return Err(IndexError::Corrupt("it is of another space".to_owned()));
    }
    Ok(())
}

fn read_vectors(file: &mut impl Read, dimension: usize, rows: u32) -> io::Result<Slab> {
    let mut slab = Slab::new(dimension);
    let mut left = rows as usize;
    while left > 0 {
        let count = left.min(CHUNK);
        let (mut keys, mut values) = (vec![0; 8 * count], vec![0; 2 * dimension * count]);
        file.read_exact(&mut keys)?;
        file.read_exact(&mut values)?;
        let values: Vec<f16> = values.as_chunks::<2>().0.iter().map(|bytes| f16::from_le_bytes(*bytes)).collect();
        for (key, values) in keys.as_chunks::<8>().0.iter().zip(values.chunks(dimension)) {
            slab.push(Key(u64::from_le_bytes(*key)), values);
        }
        left -= count;
    }
    Ok(slab)
}
