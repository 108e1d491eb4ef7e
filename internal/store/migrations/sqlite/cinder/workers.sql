CREATE TABLE workers (
    created_at DATETIME,
    updated_at DATETIME,
    deleted_at DATETIME,
    deleted BOOLEAN,
    id INTEGER NOT NULL PRIMARY KEY,
    resource_type VARCHAR(40) NOT NULL,
    resource_id VARCHAR(36) NOT NULL,
    status VARCHAR(255) NOT NULL,
    service_id INTEGER REFERENCES services (id),
    race_preventer INTEGER NOT NULL DEFAULT 0,
    UNIQUE (resource_type, resource_id)
);
CREATE INDEX ix_workers_service_id ON workers (service_id);

-- Cinder's services ask this row, at their start, whether the database keeps
-- fractions of a second, and cannot do without it.
INSERT INTO workers (created_at, updated_at, deleted, resource_type, resource_id, status, race_preventer)
VALUES ('2000-01-01 00:00:00.000123', '2000-01-01 00:00:00.000123', 0, 'SENTINEL', 'SUB-SECOND', 'OK', 0);
