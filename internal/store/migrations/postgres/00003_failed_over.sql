-- +goose Up
-- What volumes, snapshots and groups were before a failover changed them.
CREATE TABLE stoker_failed_over (
    resource VARCHAR(36) NOT NULL,
    id VARCHAR(36) NOT NULL,
    status VARCHAR(255) NOT NULL,
    previous_status VARCHAR(255),
    replication_status VARCHAR(255),
    since TIMESTAMP NOT NULL,
    PRIMARY KEY (resource, id)
);

-- +goose Down
DROP TABLE stoker_failed_over;
