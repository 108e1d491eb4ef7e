CREATE TABLE IF NOT EXISTS workers (
    created_at DATETIME,
    updated_at DATETIME(6),
    deleted_at DATETIME,
    deleted BOOLEAN,
    id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY,
    resource_type VARCHAR(40) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    status VARCHAR(255) NOT NULL,
    service_id INTEGER,
    race_preventer INTEGER NOT NULL DEFAULT 0,
    UNIQUE KEY resource_type (resource_type, resource_id),
    KEY ix_workers_service_id (service_id),
    CONSTRAINT workers_ibfk_1 FOREIGN KEY (service_id) REFERENCES services (id)
);
