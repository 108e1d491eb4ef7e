-- Cinder's services ask this row, at their start, whether the database keeps
-- fractions of a second, and cannot do without it.
INSERT INTO workers (created_at, updated_at, deleted, resource_type, resource_id, status, race_preventer)
SELECT '2000-01-01 00:00:00.000123', '2000-01-01 00:00:00.000123', FALSE, 'SENTINEL', 'SUB-SECOND', 'OK', 0 FROM (SELECT 1) one
WHERE NOT EXISTS (SELECT 1 FROM workers WHERE resource_type = 'SENTINEL' AND resource_id = 'SUB-SECOND');
