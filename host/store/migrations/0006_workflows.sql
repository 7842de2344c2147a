-- The latest version of each workflow; one that was removed is not here.
CREATE TABLE workflow (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL CHECK (version >= 1),
    status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE', 'ARCHIVED')),
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0)
) STRICT;

CREATE INDEX workflow_by_creation ON workflow (created_at_ms, id);

CREATE TABLE workflow_version (
    workflow_id TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    record TEXT NOT NULL CHECK (json_valid(record)),
    PRIMARY KEY (workflow_id, version)
) STRICT;

-- One run of a workflow. Its row is small, because it is written with every event.
CREATE TABLE workflow_execution (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow_id TEXT NOT NULL,
    workflow_name TEXT NOT NULL,
    workflow_version INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED', 'PAUSED')),
    output TEXT,
    error TEXT,
    idempotency_key TEXT,
    created_at_ms INTEGER NOT NULL CHECK (created_at_ms >= 0),
    started_at_ms INTEGER,
    completed_at_ms INTEGER,
    owner TEXT,
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    wanted TEXT CHECK (wanted IN ('cancel', 'pause', 'resume', 'retry')),
    -- The numbers of its last event and its last signal.
    last_event INTEGER NOT NULL DEFAULT 0 CHECK (last_event >= 0),
    last_signal INTEGER NOT NULL DEFAULT 0 CHECK (last_signal >= 0)
) STRICT;

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

-- What an execution was started with; never written again.
CREATE TABLE workflow_start (
    execution INTEGER PRIMARY KEY REFERENCES workflow_execution (key) ON DELETE CASCADE,
    input TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    context TEXT NOT NULL,
    -- The execution that started this one and the path of the step, as a list.
    parent TEXT
) STRICT;

-- The journal.
CREATE TABLE workflow_event (
    execution INTEGER NOT NULL REFERENCES workflow_execution (key) ON DELETE CASCADE,
    seq INTEGER NOT NULL CHECK (seq >= 1),
    at_ms INTEGER NOT NULL,
    path TEXT NOT NULL,
    what TEXT NOT NULL,
    PRIMARY KEY (execution, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE workflow_signal (
    execution INTEGER NOT NULL REFERENCES workflow_execution (key) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number >= 1),
    name TEXT NOT NULL,
    payload TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (execution, number)
) STRICT, WITHOUT ROWID;
