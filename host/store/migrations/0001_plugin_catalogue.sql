-- The plugin catalogue: one row with the whole state, replaced by compare and set on its revision.
CREATE TABLE plugin_catalogue (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    revision INTEGER NOT NULL CHECK (revision >= 1),
    state TEXT NOT NULL CHECK (json_valid(state))
) STRICT;

-- Components by the SHA-256 of their bytes. Never changed, only added and removed.
CREATE TABLE plugin_component (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    wasm BLOB NOT NULL
) STRICT;
