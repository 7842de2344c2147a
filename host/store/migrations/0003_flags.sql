-- Counts the changes of all flags. A flag's version is the count its last change made, so that no version ever comes back.
CREATE TABLE flag_revision (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    revision INTEGER NOT NULL CHECK (revision >= 0)
) STRICT;

INSERT INTO flag_revision (only_row, revision) VALUES (1, 0);

-- Stored flags, each replaced by compare and set on its version.
CREATE TABLE flag (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version >= 1),
    definition TEXT NOT NULL CHECK (json_valid(definition))
) STRICT;
