-- +goose Up
-- Why a service is disabled. By name and not by row: a cause outlives the row.
CREATE TABLE stoker_causes (
    "binary" VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    cause VARCHAR(36) NOT NULL,
    reason VARCHAR(255),
    since TIMESTAMP NOT NULL,
    PRIMARY KEY ("binary", host, cause)
);

-- The journal: every change, from who asked for it to how it ended.
CREATE TABLE stoker_operations (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    kind VARCHAR(36) NOT NULL,
    state VARCHAR(36) NOT NULL,

    user_id VARCHAR(255) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    roles TEXT NOT NULL,
    is_admin BOOLEAN NOT NULL,
    request_id VARCHAR(255) NOT NULL,
    global_request_id VARCHAR(255) NOT NULL,
    address VARCHAR(255) NOT NULL,

    "binary" VARCHAR(255) NOT NULL,
    host VARCHAR(255) NOT NULL,
    cluster_name VARCHAR(255) NOT NULL,
    detail TEXT NOT NULL,

    rows_before TEXT NOT NULL,
    rows_shown TEXT NOT NULL,
    rows_after TEXT NOT NULL,

    owner VARCHAR(255) NOT NULL,
    lease_until TIMESTAMP,
    deadline TIMESTAMP,
    started_at TIMESTAMP,
    settled_at TIMESTAMP,
    outcome TEXT NOT NULL
);
CREATE INDEX stoker_operations_state_idx ON stoker_operations (state);
CREATE INDEX stoker_operations_service_idx ON stoker_operations ("binary", host);
CREATE INDEX stoker_operations_started_idx ON stoker_operations (started_at);

-- What was committed lately, by a random id: whoever lost the database while it
-- committed looks here. Who locks this table has the turn to write.
CREATE TABLE stoker_commits (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    committed_at TIMESTAMP NOT NULL
);
CREATE INDEX stoker_commits_committed_idx ON stoker_commits (committed_at);

-- +goose Down
DROP TABLE stoker_commits;
DROP TABLE stoker_operations;
DROP TABLE stoker_causes;
