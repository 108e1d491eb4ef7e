package interop

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"stoker/test/cloud"
	"stoker/test/peers"
)

// A call that needs the newest interface of Cinder 26 goes to a Python service,
// though one of ours has a row beside its: rows of ours pin cinder-api to nothing
// older. extend_volume_completion came with version 3.19 of cinder-volume's.
func TestNewestCallsBesideOurs(t *testing.T) {
	t.Parallel()
	engines.Each(t, func(t *testing.T, engines *peers.Shared) {
		t.Helper()
		if engines.Release() == peers.Bookworm {
			return // Cinder 21 has no such call
		}
		newestCallsBesideOurs(t, engines)
	})
}

func newestCallsBesideOurs(t *testing.T, engines *peers.Shared) {
	t.Helper()
	d := cloud.New(t, engines)
	d.Python(t, "host1", "volume")
	d.Sync(t)
	d.Stoker(t, "host2", "volume", "scheduler", "backup")
	python := d.Python(t, "host3", "api") // which reads the versions of all when it starts
	const id = "00000000-0000-4000-8000-000000000001"
	d.Exec(t, "INSERT INTO volume_types (id, name, deleted) VALUES ('type', 'type', 0)")
	d.Exec(t, "INSERT INTO volumes (id, host, project_id, user_id, status, attach_status, replication_status, volume_type_id, size, deleted) "+
		"VALUES (?, 'host1@alpha#alpha', ?, 'admin', 'extending', 'detached', 'disabled', 'type', 1, 0)", id, cloud.Project)
	d.Exec(t, "INSERT INTO volume_admin_metadata (volume_id, `key`, value, deleted) VALUES (?, 'extend_new_size', '2', 0), (?, 'extend_reservations', '[]', 0)", id, id)
	got, err := cloud.API{Name: "cinder-api", URL: python.URL}.Ask(t.Context(), http.MethodPost, "volumes/"+id+"/action", cloud.Newest,
		map[string]any{"os-extend_volume_completion": map[string]any{"error": false}})
	if err != nil || got.Status != http.StatusAccepted {
		t.Fatalf("%d %s (%v), want 202", got.Status, got.Body, err)
	}
	cloud.Eventually(t, "the Python service has ended the extension", func() bool {
		return strings.HasPrefix(volume(t, d, id), "available 2")
	})
}

// volume is the state and the size of a volume.
func volume(t *testing.T, d *cloud.Cloud, id string) string {
	t.Helper()
	var status string
	var size int
	if err := d.DB.QueryRowContext(t.Context(), "SELECT status, size FROM volumes WHERE id = ?", id).Scan(&status, &size); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %d", status, size)
}
