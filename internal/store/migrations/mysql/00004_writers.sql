-- +goose Up
-- Which migrations a program has to know to write here: see CONTRIBUTING.md.
CREATE TABLE IF NOT EXISTS stoker_writers (
    since INTEGER NOT NULL PRIMARY KEY
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE stoker_writers;
