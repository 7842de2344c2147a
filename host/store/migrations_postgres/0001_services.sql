-- Names without a schema: the search path says which. Texts are compared byte by byte, as everywhere else in the program.

-- Counts the changes of all services, so that a process sees when another made one.
CREATE TABLE service_revision (
    only_row smallint PRIMARY KEY CHECK (only_row = 1),
    revision bigint NOT NULL CHECK (revision >= 0)
);

INSERT INTO service_revision (only_row, revision) VALUES (1, 0);

-- The services that somebody defined, each replaced by compare and set on its version.
CREATE TABLE service (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    version bigint NOT NULL CHECK (version >= 1),
    definition text NOT NULL
);
