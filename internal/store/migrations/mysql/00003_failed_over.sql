-- +goose Up
-- What volumes, snapshots and groups were before a failover changed them.
CREATE TABLE IF NOT EXISTS stoker_failed_over (
    resource VARCHAR(36) NOT NULL,
    id VARCHAR(36) NOT NULL,
    status VARCHAR(255) NOT NULL,
    previous_status VARCHAR(255),
    replication_status VARCHAR(255),
    since DATETIME(6) NOT NULL,
    PRIMARY KEY (resource, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE stoker_failed_over;
