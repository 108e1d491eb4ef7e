-- +goose Up
-- Answers that are kept for a client that sends the same request once more.
CREATE TABLE IF NOT EXISTS stoker_requests (
    id VARCHAR(64) NOT NULL PRIMARY KEY,
    fingerprint VARCHAR(64) NOT NULL,
    owner VARCHAR(255) NOT NULL,
    lease_until DATETIME(6),
    expires_at DATETIME(6) NOT NULL,
    status INTEGER NOT NULL,
    headers MEDIUMTEXT NOT NULL,
    body MEDIUMTEXT NOT NULL,
    KEY stoker_requests_expires_idx (expires_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE stoker_requests;
