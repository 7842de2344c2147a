//! Durable records: SQLite by default.
