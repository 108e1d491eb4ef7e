package interop

import (
	"maps"
	"testing"

	"stoker/test/cloud"
)

// volumes are those of a host, with a snapshot each: one that is replicated, one
// that is not, and one that was in error before.
func volumes(t *testing.T, d *cloud.Cloud, host string) {
	t.Helper()
	d.Exec(t, "INSERT INTO volume_types (id, name, deleted) VALUES ('type-"+host+"', 'type-"+host+"', 0)")
	for id, status := range map[string][2]string{
		"replicated": {"in-use", "enabled"}, "plain": {"available", "disabled"}, "broken": {"error", "not-capable"},
	} {
		d.Exec(t, "INSERT INTO volumes (id, host, status, replication_status, volume_type_id, size, deleted) VALUES (?, ?, ?, ?, ?, 1, 0)",
			id, host+"#alpha", status[0], status[1], "type-"+host)
		d.Exec(t, "INSERT INTO snapshots (id, volume_id, status, volume_type_id, deleted) VALUES (?, ?, 'available', ?, 0)", "of "+id, id, "type-"+host)
	}
}

// resources are the volumes and snapshots, in one line each.
func resources(t *testing.T, d *cloud.Cloud) map[string]string {
	t.Helper()
	rows, err := d.DB.QueryContext(t.Context(), `SELECT id, CONCAT_WS(' ', status, previous_status, replication_status) FROM volumes
		UNION SELECT id, status FROM snapshots`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var id, line string
		if err := rows.Scan(&id, &line); err != nil {
			t.Fatal(err)
		}
		found[id] = line
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// volumesFollow has the rows of volumes follow a failover, a refused one not, and
// come back with the failback.
func volumesFollow(t *testing.T, d *cloud.Cloud, a cloud.API, host string) {
	t.Helper()
	volumes(t, d, host)
	home := map[string]string{
		"replicated": "in-use enabled", "plain": "available disabled", "broken": "error not-capable",
		"of replicated": "available", "of plain": "available", "of broken": "available",
	}
	away := map[string]string{
		"replicated": "in-use failed-over", "plain": "error available not-capable", "broken": "error not-capable",
		"of replicated": "available", "of plain": "error", "of broken": "available",
	}
	for _, s := range []struct {
		target, line string
		want         map[string]string
	}{{"site-b", onSiteB, away}, {"site-c", onSiteC, away}, {"default", healthy, home}} {
		a.Must(t, "os-services/failover_host", map[string]any{"host": host, "backend_id": s.target})
		cloud.Eventually(t, host+" has gone to "+s.target, func() bool { return d.Rows(t)[host] == s.line })
		if got := resources(t, d); !maps.Equal(got, s.want) { // when the row says so, they are there
			t.Errorf("at %s: %v, want %v", s.target, got, s.want)
		}
	}
}
