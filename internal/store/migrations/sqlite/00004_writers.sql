-- +goose Up
-- Which migrations a program has to know to write here: see CONTRIBUTING.md.
CREATE TABLE stoker_writers (
    since INTEGER NOT NULL PRIMARY KEY
);

-- +goose Down
DROP TABLE stoker_writers;
