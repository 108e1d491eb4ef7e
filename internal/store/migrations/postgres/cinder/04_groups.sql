CREATE TABLE IF NOT EXISTS "groups" (
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    deleted_at TIMESTAMP,
    deleted BOOLEAN,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(255),
    project_id VARCHAR(255),
    cluster_name VARCHAR(255),
    host VARCHAR(255),
    availability_zone VARCHAR(255),
    name VARCHAR(255),
    description VARCHAR(255),
    group_type_id VARCHAR(36),
    status VARCHAR(255),
    group_snapshot_id VARCHAR(36),
    source_group_id VARCHAR(36),
    replication_status VARCHAR(255)
);
