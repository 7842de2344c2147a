use std::time::Duration;

use crate::section::section;
use crate::url::PostgresUrl;
use crate::value::words;

words! {
    /// Where vectors are kept.
    SearchIndex {
        /// In this process, beside the other records.
        Embedded = "embedded",
        /// In PostgreSQL with pgvector.
        Pgvector = "pgvector",
    }
}

section! {
    /// Products and the search for them.
    Search = "search" {
        /// Where vectors are kept.
        index: SearchIndex = r#""embedded""# (Restart);
        /// The PostgreSQL of `pgvector`, 16 or newer with pgvector 0.8 or newer.
        postgres_url: Option<PostgresUrl> = "" (Restart);
        /// The schema in it that holds our tables; made when it is absent.
        postgres_schema: String = r#""breakwater""# (Restart);
        /// Connections to it.
        postgres_connections: u32 = "8" in "1" to "256" (Restart);
        /// The longest that one statement may take.
        postgres_timeout: Duration = r#""30s""# in r#""10ms""# to r#""10m""# (Restart);
        /// Whether vectors are kept there in half precision: half the memory, up to 4000 dimensions instead of 2000.
        postgres_half: bool = "true" (Restart);
        /// Models whose vectors every product gets besides that of `embeddings.model`: those of an alias, so that both can be searched.
        models: Vec<String> = "[]" (Restart);
        /// Whether every product also gets the fallback's descriptor, so that a search still finds something when no model answers.
        descriptor: bool = "true" (Restart);
        /// Products on a page when a search does not say.
        page_size: usize = "20" in "1" to "100" (Restart);
        /// Products less similar than this are not shown, when a search does not say.
        min_similarity: f64 = "0.0" in "-1.0" to "1.0" (Restart);
        /// Products whose images' perceptual hashes differ in at most so many of 64 bits are shown as one; 0 folds only equal ones.
        duplicate_distance: u32 = "4" in "0" to "32" (Restart);
        /// How much a product's quality counts beside its similarity.
        quality_weight: f64 = "0.1" in "0.0" to "1.0" (Restart);
        /// The plugin that orders what was found. Not set: `rank-weighted` if it is there.
        ranker: Option<String> = "" (Restart);
        /// Candidates that a walk through an index keeps: the more, the better the recall and the slower. Not set: 144 embedded, 100 in
        /// PostgreSQL.
        ef: Option<u32> = "" in "1" to "1000" (Restart);
        /// Vectors that one embedded index holds at most; one of 512 numbers takes about 2.2 KB of memory.
        max_vectors: usize = "2000000" in "1" to "1000000000" (Restart);
        /// Changes after which an embedded index is written to disk.
        snapshot_changes: u64 = "10000" in "1" to "100000000" (Restart);
        /// The longest that changes wait for that.
        snapshot_interval: Duration = r#""5m""# in r#""1s""# to r#""24h""# (Restart);
        /// The share of searches that are also answered exactly, to measure the recall.
        recall_share: f64 = "0.01" in "0.0" to "1.0" (Restart);
        /// Imports that run at once.
        max_imports: usize = "2" in "1" to "64" (Restart);
    }
}
