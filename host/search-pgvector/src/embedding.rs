//! Vectors in the types of the database.

use breakwater_search::Vector;
use pgvector::HalfVector;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use crate::config::Storage;

/// The most dimensions that pgvector keeps in either type (`VECTOR_MAX_DIM`, `HALFVEC_MAX_DIM` of its source).
pub(crate) const MOST_DIMENSIONS: u32 = 16_000;

/// Gives a statement its next parameter: one vector.
pub(crate) fn bind_one<'q>(
    statement: Query<'q, Postgres, PgArguments>,
    storage: Storage,
    vector: &Vector,
) -> Query<'q, Postgres, PgArguments> {
    match storage {
        Storage::HalfVec => statement.bind(half(vector)),
        Storage::Vector => statement.bind(full(vector)),
    }
}

/// Gives a statement its next parameter: an array of vectors.
pub(crate) fn bind_all<'q, 'v>(
    statement: Query<'q, Postgres, PgArguments>,
    storage: Storage,
    vectors: impl Iterator<Item = &'v Vector>,
) -> Query<'q, Postgres, PgArguments> {
    match storage {
        Storage::HalfVec => statement.bind(vectors.map(half).collect::<Vec<_>>()),
        Storage::Vector => statement.bind(vectors.map(full).collect::<Vec<_>>()),
    }
}

/// The numbers of a direction are at most 1, so none is too large for half precision.
fn half(vector: &Vector) -> HalfVector {
    HalfVector::from_f32_slice(vector.values())
}

fn full(vector: &Vector) -> pgvector::Vector {
    pgvector::Vector::from(vector.values().to_vec())
}
