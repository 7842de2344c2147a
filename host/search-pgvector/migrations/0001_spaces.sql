-- The spaces of which there are vectors, each with a table of its own. Names without a schema: the search path says which.
CREATE TABLE spaces (
    table_name text PRIMARY KEY,
    slug text NOT NULL,
    model text NOT NULL,
    revision text NOT NULL,
    dimension integer NOT NULL CHECK (dimension > 0),
    storage text NOT NULL CHECK (storage IN ('halfvec', 'vector')),
    -- Whether there is a graph over the vectors.
    indexed boolean NOT NULL,
    -- Of the last change in the table, and how many vectors are in it after that change.
    sequence bigint NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    vectors bigint NOT NULL DEFAULT 0 CHECK (vectors >= 0),
    created timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model, revision, dimension)
);
