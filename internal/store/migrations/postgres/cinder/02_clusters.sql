CREATE TABLE IF NOT EXISTS clusters (
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    deleted_at TIMESTAMP,
    deleted BOOLEAN,
    id SERIAL NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    "binary" VARCHAR(255) NOT NULL,
    disabled BOOLEAN,
    disabled_reason VARCHAR(255),
    race_preventer INTEGER NOT NULL,
    replication_status VARCHAR(36),
    active_backend_id VARCHAR(255),
    frozen BOOLEAN NOT NULL DEFAULT FALSE,
    UNIQUE (name, "binary", race_preventer)
);
