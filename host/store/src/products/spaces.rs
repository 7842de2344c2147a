//! The spaces of vectors, by number.

use breakwater_core::Digest;
use breakwater_search::records::RecordsError;
use breakwater_search::{Key, Space, Vector};
use sqlx::SqliteConnection;

use super::{count, failed, number};
use crate::sqlite::SqliteStore;

const FIND: &str = "SELECT id FROM vector_space WHERE model = ? AND revision = ? AND dimension = ?";

/// The number of a space, made when it has none.
pub(super) async fn space_id(connection: &mut SqliteConnection, space: &Space) -> Result<i64, RecordsError> {
    let bound = |text: &'static str| {
        sqlx::query_scalar(text).bind(space.model.to_string()).bind(space.revision.as_bytes().to_vec()).bind(space.dimension)
    };
    if let Some(id) = bound(FIND).fetch_optional(&mut *connection).await.map_err(failed)? {
        return Ok(id);
    }
    let insert = "INSERT INTO vector_space (model, revision, dimension) VALUES (?, ?, ?) RETURNING id";
    bound(insert).fetch_one(connection).await.map_err(failed)
}

impl SqliteStore {
    /// The number of a space; none if no product ever had a vector in it.
    pub(super) async fn known_space(&self, space: &Space) -> Result<Option<i64>, RecordsError> {
        let find = sqlx::query_scalar(FIND).bind(space.model.to_string()).bind(space.revision.as_bytes().to_vec()).bind(space.dimension);
        find.fetch_optional(&self.pool).await.map_err(failed)
    }

    pub(super) async fn vector_spaces(&self) -> Result<Vec<(Space, u64)>, RecordsError> {
        let rows: Vec<(String, Vec<u8>, u32, i64)> = sqlx::query_as(
            "SELECT model, revision, dimension, (SELECT count(*) FROM product_vector WHERE space = vector_space.id AND vector IS NOT NULL)
             FROM vector_space ORDER BY model, revision, dimension",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let mut spaces = Vec::with_capacity(rows.len());
        for (model, revision, dimension, vectors) in rows {
            let revision: [u8; 32] = revision.try_into().map_err(|_| RecordsError::Corrupt(format!("the revision of {model:?}")))?;
            let space = Space { model: model.into(), revision: Digest::from_bytes(revision), dimension };
            spaces.push((space, count(vectors)?));
        }
        spaces.retain(|(_, vectors)| *vectors > 0);
        Ok(spaces)
    }

    pub(super) async fn vector_of(&self, key: Key, space: &Space) -> Result<Option<Vector>, RecordsError> {
        let Some(id) = self.known_space(space).await? else { return Ok(None) };
        let get = "SELECT vector FROM product_vector WHERE space = ? AND key = ? AND vector IS NOT NULL";
        let bytes: Option<Vec<u8>> =
            sqlx::query_scalar(get).bind(id).bind(number(key.0)?).fetch_optional(&self.pool).await.map_err(failed)?;
        bytes.map(|bytes| vector(&bytes, key, space)).transpose()
    }
}

/// A vector as it is stored.
pub(super) fn vector(bytes: &[u8], key: Key, space: &Space) -> Result<Vector, RecordsError> {
    let corrupt = |what: String| RecordsError::Corrupt(format!("the vector of key {} in {space}: {what}", key.0));
    let vector = Vector::from_half_bytes(bytes).map_err(|error| corrupt(error.to_string()))?;
    let found = vector.dimension();
    if found == space.dimension as usize { Ok(vector) } else { Err(corrupt(format!("it has {found} numbers"))) }
}
