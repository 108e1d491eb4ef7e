-- +goose Up
-- An index for each filter of the journal, in the order in which it is listed: a page
-- is read from one of them, wherever it begins. They are built while others read and
-- write. Each change is one statement, done or not done, and skipped when it was done
-- before: MySQL has no IF NOT EXISTS here.

-- What a host is called without its backend.
SET @done = (SELECT COUNT(*) FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'stoker_operations' AND column_name = 'host_name');
SET @change = IF(@done, 'DO 0', 'ALTER TABLE stoker_operations
    ADD COLUMN host_name VARCHAR(255) AS (SUBSTRING_INDEX(host, ''@'', 1)) VIRTUAL, ALGORITHM=INSTANT');
PREPARE change_once FROM @change;
EXECUTE change_once;
DEALLOCATE PREPARE change_once;

SET @done = (SELECT COUNT(*) FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'stoker_operations' AND index_name = 'stoker_operations_by_start_idx');
SET @change = IF(@done, 'DO 0', 'ALTER TABLE stoker_operations
    ADD INDEX stoker_operations_by_start_idx (started_at, id),
    ADD INDEX stoker_operations_by_state_idx (state, started_at, id),
    ADD INDEX stoker_operations_by_kind_idx (kind, started_at, id),
    ADD INDEX stoker_operations_by_binary_idx ("binary", started_at, id),
    ADD INDEX stoker_operations_by_host_idx (host, started_at, id),
    ADD INDEX stoker_operations_by_host_name_idx (host_name, started_at, id),
    ADD INDEX stoker_operations_by_cluster_idx (cluster_name, started_at, id),
    ADD INDEX stoker_operations_by_user_idx (user_id, started_at, id),
    ADD INDEX stoker_operations_by_request_idx (request_id, started_at, id),
    DROP INDEX stoker_operations_state_idx,
    DROP INDEX stoker_operations_service_idx,
    DROP INDEX stoker_operations_started_idx,
    ALGORITHM=INPLACE, LOCK=NONE');
PREPARE change_once FROM @change;
EXECUTE change_once;
DEALLOCATE PREPARE change_once;

-- Whose key a kept request has: a digest, or '' from a process that does not say.
SET @done = (SELECT COUNT(*) FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'stoker_requests' AND column_name = 'caller');
SET @change = IF(@done, 'DO 0', 'ALTER TABLE stoker_requests
    ADD COLUMN caller VARCHAR(64) NOT NULL DEFAULT '''',
    ADD INDEX stoker_requests_caller_idx (caller, expires_at),
    ALGORITHM=INPLACE, LOCK=NONE');
PREPARE change_once FROM @change;
EXECUTE change_once;
DEALLOCATE PREPARE change_once;

-- +goose Down
ALTER TABLE stoker_requests DROP INDEX stoker_requests_caller_idx, DROP COLUMN caller;
ALTER TABLE stoker_operations
    ADD INDEX stoker_operations_state_idx (state),
    ADD INDEX stoker_operations_service_idx ("binary", host),
    ADD INDEX stoker_operations_started_idx (started_at),
    DROP INDEX stoker_operations_by_start_idx,
    DROP INDEX stoker_operations_by_state_idx,
    DROP INDEX stoker_operations_by_kind_idx,
    DROP INDEX stoker_operations_by_binary_idx,
    DROP INDEX stoker_operations_by_host_idx,
    DROP INDEX stoker_operations_by_host_name_idx,
    DROP INDEX stoker_operations_by_cluster_idx,
    DROP INDEX stoker_operations_by_user_idx,
    DROP INDEX stoker_operations_by_request_idx;
ALTER TABLE stoker_operations DROP COLUMN host_name;
