-- Counts the changes of all services, so that a process sees when another made one.
CREATE TABLE service_revision (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    revision INTEGER NOT NULL CHECK (revision >= 0)
) STRICT;

INSERT INTO service_revision (only_row, revision) VALUES (1, 0);

-- The services that somebody defined, each replaced by compare and set on its version.
CREATE TABLE service (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL CHECK (version >= 1),
    definition TEXT NOT NULL CHECK (json_valid(definition))
) STRICT;
