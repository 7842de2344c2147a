-- The key that a signal was sent under: of those with one key only the first is kept.
ALTER TABLE workflow_signal ADD COLUMN idempotency_key TEXT;

CREATE UNIQUE INDEX workflow_signal_key ON workflow_signal (execution, idempotency_key) WHERE idempotency_key IS NOT NULL;
