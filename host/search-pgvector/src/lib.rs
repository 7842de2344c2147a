//! Indices of vectors in PostgreSQL (16 or newer) with pgvector (0.8 or newer).
//!
//! One schema belongs to one set of records. In it is a table of spaces, and a table of vectors for each, with an HNSW graph over them for
//! the cosine. A change and its sequence number are committed together, so an index is never ahead of what it says, nor behind. Several
//! processes may open the same indices.
//!
//! Sessions keep settings and prepared statements: a pooler in front of the database must not share them between transactions.

#![forbid(unsafe_code)]

mod config;
mod database;
mod embedding;
mod error;
mod estimates;
mod filters;
mod index;
mod planner;
mod requirements;
mod search;
mod session;
mod table;
mod text;
mod write;

use std::sync::Arc;

use breakwater_core::BoxFuture;
use breakwater_search::{IndexError, Indices, Space, VectorIndex};

pub use config::{Config, ConfigError, DatabaseUrl, IterativeScan, Storage};
pub use requirements::RequirementError;

use crate::database::Database;
use crate::index::PgVectorIndex;

/// The indices in one schema of a database.
///
/// Nothing is connected until the first index is opened, and a database that is lost is found again by itself: calls fail with
/// [`IndexError::Unavailable`] meanwhile.
#[derive(Debug)]
pub struct PgVectorIndices {
    database: Arc<Database>,
}

impl PgVectorIndices {
    /// Indices as the configuration says.
    ///
    /// # Errors
    /// When a value is out of its range.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { database: Arc::new(Database::new(config)) })
    }

    /// Connects, sees to pgvector and brings the schema up to date, if that is not done yet. [`Indices::open`] does it too.
    ///
    /// # Errors
    /// [`IndexError::Unavailable`] when the database cannot be reached or used; its source says what to install or allow, and is a
    /// [`RequirementError`] then.
    pub async fn prepare(&self) -> Result<(), IndexError> {
        self.database.pool().await.map(drop)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

impl Indices for PgVectorIndices {
    fn open<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<Arc<dyn VectorIndex>, IndexError>> {
        Box::pin(async move {
            let index: Arc<dyn VectorIndex> = Arc::new(PgVectorIndex::open(Arc::clone(&self.database), space).await?);
            Ok(index)
        })
    }

    fn remove<'a>(&'a self, space: &'a Space) -> BoxFuture<'a, Result<(), IndexError>> {
        Box::pin(table::remove(&self.database, space))
    }
}
