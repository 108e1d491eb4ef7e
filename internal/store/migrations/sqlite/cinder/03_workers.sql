CREATE TABLE IF NOT EXISTS workers (
    created_at DATETIME,
    updated_at DATETIME,
    deleted_at DATETIME,
    deleted BOOLEAN,
    id INTEGER NOT NULL PRIMARY KEY,
    resource_type VARCHAR(40) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    status VARCHAR(255) NOT NULL,
    service_id INTEGER,
    race_preventer INTEGER NOT NULL DEFAULT 0,
    UNIQUE (resource_type, resource_id),
    FOREIGN KEY (service_id) REFERENCES services (id)
);
CREATE INDEX IF NOT EXISTS ix_workers_service_id ON workers (service_id);
