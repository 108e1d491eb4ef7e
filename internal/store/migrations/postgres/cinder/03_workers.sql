CREATE TABLE IF NOT EXISTS workers (
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    deleted_at TIMESTAMP,
    deleted BOOLEAN,
    id SERIAL NOT NULL PRIMARY KEY,
    resource_type VARCHAR(40) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    status VARCHAR(255) NOT NULL,
    service_id INTEGER,
    race_preventer INTEGER NOT NULL DEFAULT 0,
    UNIQUE (resource_type, resource_id),
    CONSTRAINT workers_service_id_fkey FOREIGN KEY (service_id) REFERENCES services (id)
);
CREATE INDEX IF NOT EXISTS ix_workers_service_id ON workers (service_id);
