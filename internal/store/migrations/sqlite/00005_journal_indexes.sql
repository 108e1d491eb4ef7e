-- +goose Up
-- An index for each filter of the journal, in the order in which it is listed: a page
-- is read from one of them, wherever it begins.
CREATE INDEX stoker_operations_by_start_idx ON stoker_operations (started_at, id);
CREATE INDEX stoker_operations_by_state_idx ON stoker_operations (state, started_at, id);
CREATE INDEX stoker_operations_by_kind_idx ON stoker_operations (kind, started_at, id);
CREATE INDEX stoker_operations_by_binary_idx ON stoker_operations ("binary", started_at, id);
CREATE INDEX stoker_operations_by_host_idx ON stoker_operations (host, started_at, id);
CREATE INDEX stoker_operations_by_host_name_idx ON stoker_operations (SUBSTR(host, 1, INSTR(host || '@', '@') - 1), started_at, id);
CREATE INDEX stoker_operations_by_cluster_idx ON stoker_operations (cluster_name, started_at, id);
CREATE INDEX stoker_operations_by_user_idx ON stoker_operations (user_id, started_at, id);
CREATE INDEX stoker_operations_by_request_idx ON stoker_operations (request_id, started_at, id);
DROP INDEX stoker_operations_state_idx;
DROP INDEX stoker_operations_service_idx;
DROP INDEX stoker_operations_started_idx;

-- Whose key a kept request has: a digest, or '' from a process that does not say.
ALTER TABLE stoker_requests ADD COLUMN caller VARCHAR(64) NOT NULL DEFAULT '';
CREATE INDEX stoker_requests_caller_idx ON stoker_requests (caller, expires_at);

-- +goose Down
DROP INDEX stoker_requests_caller_idx;
ALTER TABLE stoker_requests DROP COLUMN caller;
CREATE INDEX stoker_operations_state_idx ON stoker_operations (state);
CREATE INDEX stoker_operations_service_idx ON stoker_operations ("binary", host);
CREATE INDEX stoker_operations_started_idx ON stoker_operations (started_at);
DROP INDEX stoker_operations_by_start_idx;
DROP INDEX stoker_operations_by_state_idx;
DROP INDEX stoker_operations_by_kind_idx;
DROP INDEX stoker_operations_by_binary_idx;
DROP INDEX stoker_operations_by_host_idx;
DROP INDEX stoker_operations_by_host_name_idx;
DROP INDEX stoker_operations_by_cluster_idx;
DROP INDEX stoker_operations_by_user_idx;
DROP INDEX stoker_operations_by_request_idx;
