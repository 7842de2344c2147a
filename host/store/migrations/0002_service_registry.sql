-- The services that registered themselves, each replaced as a whole.
CREATE TABLE registered_service (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL CHECK (json_valid(record))
) STRICT;
