-- +goose Up
-- What the processes that settle an operation tell one another: JSON, or NULL.
ALTER TABLE stoker_operations ADD COLUMN progress TEXT;

-- Answers that are kept for a client that sends the same request once more.
CREATE TABLE stoker_requests (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    fingerprint VARCHAR(64) NOT NULL,
    owner VARCHAR(255) NOT NULL,
    lease_until TIMESTAMP,
    expires_at TIMESTAMP NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX stoker_requests_expires_idx ON stoker_requests (expires_at);

-- +goose Down
DROP TABLE stoker_requests;
ALTER TABLE stoker_operations DROP COLUMN progress;
