CREATE TABLE IF NOT EXISTS snapshots (
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    deleted_at TIMESTAMP,
    deleted BOOLEAN,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    volume_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(255),
    project_id VARCHAR(255),
    status VARCHAR(255),
    progress VARCHAR(255),
    volume_size INTEGER,
    scheduled_at TIMESTAMP,
    display_name VARCHAR(255),
    display_description VARCHAR(255),
    provider_location VARCHAR(255),
    encryption_key_id VARCHAR(36),
    volume_type_id VARCHAR(36) NOT NULL,
    cgsnapshot_id VARCHAR(36),
    provider_id VARCHAR(255),
    provider_auth VARCHAR(255),
    group_snapshot_id VARCHAR(36),
    use_quota BOOLEAN,
    CONSTRAINT snapshots_volume_id_fkey FOREIGN KEY (volume_id) REFERENCES volumes (id)
);
CREATE INDEX IF NOT EXISTS ix_snapshots_cgsnapshot_id ON snapshots (cgsnapshot_id);
CREATE INDEX IF NOT EXISTS ix_snapshots_volume_id ON snapshots (volume_id);
CREATE INDEX IF NOT EXISTS ix_snapshots_group_snapshot_id ON snapshots (group_snapshot_id);
