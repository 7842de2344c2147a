//! Statements that both databases understand.

/// A version of a workflow, by its id or, if no id is so, by its name; the latest when the number is null.
pub(crate) const VERSION: &str = "
    SELECT v.record, w.status FROM workflow_version v LEFT JOIN workflow w ON w.id = v.workflow_id
    WHERE v.workflow_id = coalesce(
            (SELECT workflow_id FROM workflow_version WHERE workflow_id = $1 LIMIT 1), (SELECT id FROM workflow WHERE name = $1))
        AND v.version = coalesce($2, w.version)";

/// The latest versions; conditions and order follow.
pub(crate) const WORKFLOWS: &str = "
    SELECT v.record, w.status FROM workflow w JOIN workflow_version v ON v.workflow_id = w.id AND v.version = w.version";

pub(crate) const ADD_VERSION: &str = "INSERT INTO workflow_version (workflow_id, version, record) VALUES ($1, $2, $3)";

/// Executions; conditions and order follow.
pub(crate) const EXECUTIONS: &str = "
    SELECT x.id, x.workflow_id, x.workflow_name, x.workflow_version, x.status, s.input, x.output, x.error, s.context, x.idempotency_key,
        s.parent, x.created_at_ms, x.started_at_ms, x.completed_at_ms
    FROM workflow_execution x JOIN workflow_start s ON s.execution = x.key";

/// The execution of a key, and what it was started with.
pub(crate) const KEYED: &str = "
    SELECT x.id, s.digest FROM workflow_execution x JOIN workflow_start s ON s.execution = x.key
    WHERE x.workflow_id = $1 AND x.idempotency_key = $2";

pub(crate) const COUNTS: &str = "SELECT status, count(*) FROM workflow_execution GROUP BY status";

pub(crate) const LAST_EVENT: &str = "SELECT key, last_event FROM workflow_execution WHERE id = $1";

pub(crate) const EVENTS: &str = "
    SELECT seq, at_ms, path, what FROM workflow_event WHERE execution = $1 AND seq > $2 ORDER BY seq LIMIT $3";

/// Whose an execution is.
pub(crate) const OWNER: &str = "SELECT owner, epoch FROM workflow_execution WHERE id = $1";

/// Keeps a wish. Of one that has ended, only another try can be wanted, which its end takes back.
pub(crate) const WANT: &str = "
    UPDATE workflow_execution SET
        wanted = CASE
            WHEN status IN ('PENDING', 'RUNNING', 'PAUSED') THEN CASE WHEN wanted = 'cancel' THEN wanted ELSE $2 END
            WHEN $2 = 'retry' THEN 'retry'
            WHEN $2 = 'cancel' THEN NULL
            ELSE wanted
        END,
        owner = CASE
            WHEN $2 = 'retry' AND wanted IS DISTINCT FROM 'retry' AND status IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN NULL
            ELSE owner
        END
    WHERE id = $1";

pub(crate) const SEEN: &str = "
    UPDATE workflow_execution SET wanted = CASE WHEN wanted = $4 THEN NULL ELSE wanted END WHERE id = $1 AND owner = $2 AND epoch = $3";

pub(crate) const COUNT_SIGNAL: &str = "
    UPDATE workflow_execution SET last_signal = last_signal + 1 WHERE id = $1 RETURNING key, last_signal";

pub(crate) const ADD_SIGNAL: &str = "
    INSERT INTO workflow_signal (execution, number, name, payload, at_ms, idempotency_key) VALUES ($1, $2, $3, $4, $5, $6)";

pub(crate) const SIGNAL_OF_KEY: &str = "
    SELECT n.number, n.name, n.payload, n.at_ms, n.idempotency_key FROM workflow_signal n JOIN workflow_execution x ON x.key = n.execution
    WHERE x.id = $1 AND n.idempotency_key = $2";

pub(crate) const SIGNALS: &str = "
    SELECT n.number, n.name, n.payload, n.at_ms, n.idempotency_key FROM workflow_signal n JOIN workflow_execution x ON x.key = n.execution
    WHERE x.id = $1 AND n.number > $2 ORDER BY n.number";

pub(crate) const MAIL: &str = "
    SELECT id, wanted, last_signal FROM workflow_execution
    WHERE owner = $1 AND (wanted IS NOT NULL OR last_signal > 0) AND status IN ('PENDING', 'RUNNING', 'PAUSED')";

/// Every owner of what is not at its end, by skipping from one to the next in the index.
pub(crate) const OWNERS: &str = "
    WITH RECURSIVE owners (owner) AS (
        SELECT (SELECT owner FROM workflow_execution WHERE (status IN ('PENDING', 'RUNNING') OR wanted IS NOT NULL) AND owner IS NOT NULL
                ORDER BY owner LIMIT 1)
        UNION ALL
        SELECT (SELECT x.owner FROM workflow_execution x
                WHERE (x.status IN ('PENDING', 'RUNNING') OR x.wanted IS NOT NULL) AND x.owner > owners.owner ORDER BY x.owner LIMIT 1)
        FROM owners WHERE owners.owner IS NOT NULL
    )
    SELECT owner FROM owners WHERE owner IS NOT NULL";

/// What belonged to an owner belongs to nobody. What has ended is of no use to anybody.
pub(crate) const RELEASE: &str = "
    UPDATE workflow_execution SET owner = NULL WHERE owner = $1 AND (status IN ('PENDING', 'RUNNING') OR wanted IS NOT NULL)";

/// As [`RELEASE`], of those that are paused and of which nothing is wanted.
pub(crate) const RELEASE_PAUSED: &str = "UPDATE workflow_execution SET owner = NULL WHERE status = 'PAUSED' AND owner = $1";
