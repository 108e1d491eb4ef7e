-- +goose NO TRANSACTION
-- +goose Up
-- An index for each filter of the journal, in the order in which it is listed: a page
-- is read from one of them, wherever it begins. They are built while others read and
-- write. A build that was cut off leaves an index that is of no use, so each is removed
-- first: this file may be run again.
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_by_start_idx;
CREATE INDEX CONCURRENTLY stoker_operations_by_start_idx ON stoker_operations (started_at, id);
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_by_state_idx;
CREATE INDEX CONCURRENTLY stoker_operations_by_state_idx ON stoker_operations (state, started_at, id);
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_by_kind_idx;
CREATE INDEX CONCURRENTLY stoker_operations_by_kind_idx ON stoker_operations (kind, started_at, id);
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_by_binary_idx;
CREATE INDEX CONCURRENTLY stoker_operations_by_binary_idx ON stoker_operations ("binary", started_at, id);
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_by_host_idx;
CREATE INDEX CONCURRENTLY stoker_operations_by_host_idx ON stoker_operations (host, started_at, id);
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_by_host_name_idx;
CREATE INDEX CONCURRENTLY stoker_operations_by_host_name_idx ON stoker_operations (SPLIT_PART(host, '@', 1), started_at, id) INCLUDE (host);
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_by_cluster_idx;
CREATE INDEX CONCURRENTLY stoker_operations_by_cluster_idx ON stoker_operations (cluster_name, started_at, id);
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_by_user_idx;
CREATE INDEX CONCURRENTLY stoker_operations_by_user_idx ON stoker_operations (user_id, started_at, id);
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_by_request_idx;
CREATE INDEX CONCURRENTLY stoker_operations_by_request_idx ON stoker_operations (request_id, started_at, id);
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_state_idx;
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_service_idx;
DROP INDEX CONCURRENTLY IF EXISTS stoker_operations_started_idx;

-- Whose key a kept request has: a digest, or '' from a process that does not say. A new
-- column needs the table to itself for a moment: others do not queue behind it for long.
SET lock_timeout = '3s';
ALTER TABLE stoker_requests ADD COLUMN IF NOT EXISTS caller VARCHAR(64) NOT NULL DEFAULT '';
RESET lock_timeout;
DROP INDEX CONCURRENTLY IF EXISTS stoker_requests_caller_idx;
CREATE INDEX CONCURRENTLY stoker_requests_caller_idx ON stoker_requests (caller, expires_at);

-- +goose Down
DROP INDEX IF EXISTS stoker_requests_caller_idx;
ALTER TABLE stoker_requests DROP COLUMN IF EXISTS caller;
CREATE INDEX IF NOT EXISTS stoker_operations_state_idx ON stoker_operations (state);
CREATE INDEX IF NOT EXISTS stoker_operations_service_idx ON stoker_operations ("binary", host);
CREATE INDEX IF NOT EXISTS stoker_operations_started_idx ON stoker_operations (started_at);
DROP INDEX IF EXISTS stoker_operations_by_start_idx;
DROP INDEX IF EXISTS stoker_operations_by_state_idx;
DROP INDEX IF EXISTS stoker_operations_by_kind_idx;
DROP INDEX IF EXISTS stoker_operations_by_binary_idx;
DROP INDEX IF EXISTS stoker_operations_by_host_idx;
DROP INDEX IF EXISTS stoker_operations_by_host_name_idx;
DROP INDEX IF EXISTS stoker_operations_by_cluster_idx;
DROP INDEX IF EXISTS stoker_operations_by_user_idx;
DROP INDEX IF EXISTS stoker_operations_by_request_idx;
