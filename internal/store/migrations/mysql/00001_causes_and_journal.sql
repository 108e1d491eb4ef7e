-- +goose Up
-- A statement that makes a table is a transaction of its own: each may be run again.
-- Why a service is disabled. By name and not by row: a cause outlives the row.
CREATE TABLE IF NOT EXISTS stoker_causes (
    "binary" VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    cause VARCHAR(36) NOT NULL,
    reason VARCHAR(255),
    since DATETIME(6) NOT NULL,
    PRIMARY KEY ("binary", host, cause)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The journal: every change, from who asked for it to how it ended.
CREATE TABLE IF NOT EXISTS stoker_operations (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    kind VARCHAR(36) NOT NULL,
    state VARCHAR(36) NOT NULL,

    user_id VARCHAR(255) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    roles MEDIUMTEXT NOT NULL,
    is_admin BOOLEAN NOT NULL,
    request_id VARCHAR(255) NOT NULL,
    global_request_id VARCHAR(255) NOT NULL,
    address VARCHAR(255) NOT NULL,

    "binary" VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    cluster_name VARCHAR(255) NOT NULL,
    detail MEDIUMTEXT NOT NULL,

    rows_before MEDIUMTEXT NOT NULL,
    rows_shown MEDIUMTEXT NOT NULL,
    rows_after MEDIUMTEXT NOT NULL,

    owner VARCHAR(255) NOT NULL,
    lease_until DATETIME(6),
    deadline DATETIME(6),
    started_at DATETIME(6),
    settled_at DATETIME(6),
    outcome MEDIUMTEXT NOT NULL,
    progress MEDIUMTEXT, -- the next migration adds it elsewhere: here a column cannot be added twice
    KEY stoker_operations_state_idx (state),
    KEY stoker_operations_service_idx ("binary", host),
    KEY stoker_operations_started_idx (started_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What was committed lately, by a random id: whoever lost the database while it
-- committed looks here. The row '' is whose turn it is to write.
CREATE TABLE IF NOT EXISTS stoker_commits (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    turns BIGINT NOT NULL DEFAULT 0,
    committed_at DATETIME(6) NOT NULL,
    KEY stoker_commits_committed_idx (committed_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE stoker_commits;
DROP TABLE stoker_operations;
DROP TABLE stoker_causes;
