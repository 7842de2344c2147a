-- The latest version of each workflow; one that was removed is not here.
CREATE TABLE workflow (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    version bigint NOT NULL CHECK (version >= 1),
    status text COLLATE "C" NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE', 'ARCHIVED')),
    created_at_ms bigint NOT NULL CHECK (created_at_ms >= 0)
);

CREATE INDEX workflow_by_creation ON workflow (created_at_ms, id);

-- JSON is kept as text here and below: jsonb takes no U+0000 and rounds numbers.
CREATE TABLE workflow_version (
    workflow_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version >= 1),
    record text NOT NULL,
    PRIMARY KEY (workflow_id, version)
);

-- Until when each process is taken to be alive, by the clock of the database.
CREATE TABLE workflow_node (
    name text COLLATE "C" PRIMARY KEY,
    alive_until timestamptz NOT NULL
);

-- One run of a workflow. Its row is small, because it is written with every event; room is left in each page for the next version of a row.
CREATE TABLE workflow_execution (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    workflow_id text COLLATE "C" NOT NULL,
    workflow_name text NOT NULL,
    workflow_version bigint NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED', 'PAUSED')),
    output text,
    error text,
    idempotency_key text COLLATE "C",
    created_at_ms bigint NOT NULL CHECK (created_at_ms >= 0),
    started_at_ms bigint,
    completed_at_ms bigint,
    owner text COLLATE "C",
    epoch bigint NOT NULL CHECK (epoch >= 1),
    wanted text COLLATE "C" CHECK (wanted IN ('cancel', 'pause', 'resume', 'retry')),
    -- The numbers of its last event and its last signal.
    last_event bigint NOT NULL DEFAULT 0 CHECK (last_event >= 0),
    last_signal bigint NOT NULL DEFAULT 0 CHECK (last_signal >= 0)
) WITH (fillfactor = 70);

CREATE INDEX workflow_execution_by_creation ON workflow_execution (created_at_ms, id);
CREATE INDEX workflow_execution_by_workflow ON workflow_execution (workflow_id, created_at_ms, id, status);
CREATE INDEX workflow_execution_by_status ON workflow_execution (status, created_at_ms, id);
CREATE UNIQUE INDEX workflow_execution_by_idempotency_key ON workflow_execution (workflow_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
-- What a process may have to take over.
CREATE INDEX workflow_execution_open ON workflow_execution (owner, created_at_ms, id)
    WHERE status IN ('PENDING', 'RUNNING') OR wanted IS NOT NULL;
-- What has come for an owner.
CREATE INDEX workflow_execution_mail ON workflow_execution (owner)
    WHERE (wanted IS NOT NULL OR last_signal > 0) AND status IN ('PENDING', 'RUNNING', 'PAUSED');
CREATE INDEX workflow_execution_ended ON workflow_execution (completed_at_ms) WHERE completed_at_ms IS NOT NULL;

-- What an execution was started with; never written again. This and what follows goes with its execution, in one transaction.
CREATE TABLE workflow_start (
    execution bigint PRIMARY KEY,
    input text NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    context text NOT NULL,
    -- The execution that started this one and the path of the step, as a list.
    parent text
);

-- The journal.
CREATE TABLE workflow_event (
    execution bigint NOT NULL,
    seq bigint NOT NULL CHECK (seq >= 1),
    at_ms bigint NOT NULL,
    path text NOT NULL,
    what text NOT NULL,
    PRIMARY KEY (execution, seq)
);

CREATE TABLE workflow_signal (
    execution bigint NOT NULL,
    number bigint NOT NULL CHECK (number >= 1),
    name text NOT NULL,
    payload text NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (execution, number)
);
