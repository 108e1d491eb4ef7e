CREATE TABLE IF NOT EXISTS clusters (
    created_at DATETIME,
    updated_at DATETIME,
    deleted_at DATETIME,
    deleted BOOLEAN,
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    "binary" VARCHAR(255) NOT NULL,
    disabled BOOLEAN,
    disabled_reason VARCHAR(255),
    race_preventer INTEGER NOT NULL,
    replication_status VARCHAR(36),
    active_backend_id VARCHAR(255),
    frozen BOOLEAN NOT NULL DEFAULT 0,
    UNIQUE (name, "binary", race_preventer)
);
