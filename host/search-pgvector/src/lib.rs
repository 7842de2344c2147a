//! Indices of vectors in PostgreSQL with pgvector.
