-- Counts the changes of all products and their vectors.
CREATE TABLE product_sequence (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    sequence INTEGER NOT NULL CHECK (sequence >= 0)
) STRICT;

INSERT INTO product_sequence (only_row, sequence) VALUES (1, 0);

-- AUTOINCREMENT: the key of a product that is gone never comes back.
CREATE TABLE product (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    category TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence >= 1),
    created INTEGER NOT NULL CHECK (created >= 1),
    product TEXT NOT NULL CHECK (json_valid(product))
) STRICT;

CREATE INDEX product_by_category ON product (category, key);

CREATE TABLE vector_space (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    revision BLOB NOT NULL CHECK (length(revision) = 32),
    dimension INTEGER NOT NULL CHECK (dimension >= 1),
    UNIQUE (model, revision, dimension)
) STRICT;

-- Vectors in half precision, lowest byte first. One that is gone leaves its row behind without a vector, so that indices that were away
-- learn of it.
CREATE TABLE product_vector (
    space INTEGER NOT NULL REFERENCES vector_space (id),
    key INTEGER NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence >= 1),
    vector BLOB,
    PRIMARY KEY (space, key)
) STRICT;

CREATE INDEX product_vector_by_sequence ON product_vector (space, sequence);
CREATE INDEX product_vector_by_key ON product_vector (key) WHERE vector IS NOT NULL;
CREATE INDEX product_vector_there ON product_vector (space, key) WHERE vector IS NOT NULL;

-- How far each import has come; written together with the products it stores.
CREATE TABLE product_import (
    name TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    marker TEXT NOT NULL,
    stored INTEGER NOT NULL CHECK (stored >= 0),
    failed INTEGER NOT NULL CHECK (failed >= 0),
    finished INTEGER NOT NULL CHECK (finished IN (0, 1)),
    cancelled INTEGER NOT NULL CHECK (cancelled IN (0, 1))
) STRICT;
